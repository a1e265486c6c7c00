"""A user's own ``nn.Module``, named by dotted path (``package.module:Class``) or by file (``file.py:Class``)."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from learning.models.families import Family
from learning.trust import check_code


def own_family(path: str) -> Family:
    """The family that builds ``Class(shape, classes)`` of ``package.module:Class`` or of ``folder/file.py:Class``.

    The class may draw its initial weights as it likes, from PyTorch's generator. Raises ``ValueError`` with one line
    if the module cannot be imported, has no such class, or the class is not an ``nn.Module``, and ``CodeNotAllowed``
    before anything of it is run where the user does not allow code (see ``learning.trust``).
    """
    module_name, _, class_name = path.rpartition(":")
    if not module_name or not class_name.isidentifier():
        raise ValueError(f"'{path}' is no path of a model, expected package.module:Class or folder/file.py:Class")
    check_code(path)
    try:
        module = _file_module(Path(module_name)) if is_file(path) else importlib.import_module(module_name)
    except Exception as error:  # the file is the user's: whatever it raises is the reason
        raise ValueError(f"the model '{path}' cannot be imported ({_reason(error)})") from error
    kind = getattr(module, class_name, None)
    if kind is None:
        raise ValueError(f"the model '{path}' cannot be found, the module {module_name} has no {class_name}")
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise ValueError(f"the model '{path}' is no subclass of torch.nn.Module")

    def family(shape: tuple[int, ...], classes: int) -> nn.Module:
        try:
            built: nn.Module = kind(shape, classes)
        except Exception as error:
            raise ValueError(f"the model '{path}' cannot be built by (shape, classes) ({_reason(error)})") from error
        return built

    family.__doc__ = kind.__doc__
    return family


def is_file(path: str) -> bool:
    """Whether a model is named by the Python file that it stands in."""
    return path.rpartition(":")[0].endswith(".py")


def _file_module(file: Path) -> ModuleType:
    found = importlib.util.spec_from_file_location(file.stem, file.expanduser())
    if found is None or found.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def check_module(name: str, module: nn.Module, shape: tuple[int, ...], classes: int) -> None:
    """Try a module on two samples of zeros.

    Raises ``ValueError`` with one line if it fails, returns anything but logits [2, classes], has no weights or other
    than trained float32 ones, changes its own buffers, or draws random numbers (dropout), which would be out of reach
    of the run's streams.
    """
    parameters = list(module.parameters())
    if not parameters:
        raise ValueError(f"the model '{name}' has no weights to train")
    if any(parameter.dtype != torch.float32 or not parameter.requires_grad for parameter in parameters):
        hint = "register frozen ones as buffers and name them in an attribute 'frozen'"
        raise ValueError(f"the model '{name}' has parameters that are not trained float32 ones ({hint})")
    before = {part: buffer.clone() for part, buffer in module.named_buffers()}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        state = torch.random.get_rng_state()
        try:
            logits = module(torch.zeros(2, *shape))
        except Exception as error:
            raise ValueError(f"the model '{name}' fails on samples of shape {shape} ({_reason(error)})") from error
        drew = not torch.equal(torch.random.get_rng_state(), state)
    if not isinstance(logits, torch.Tensor) or logits.shape != (2, classes):
        got = list(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ValueError(f"the model '{name}' gives {got} for two samples, expected logits [2, {classes}]")
    if drew:
        raise ValueError(f"the model '{name}' draws random numbers in training (dropout?), a run could not be repeated")
    if any(not torch.equal(buffer, before[part]) for part, buffer in module.named_buffers()):
        raise ValueError(f"the model '{name}' changes buffers that it calls frozen")


def _reason(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
