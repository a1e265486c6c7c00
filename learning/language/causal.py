"""A causal language model by name or folder, frozen, with low-rank adapters on its attention projections.

The base is read once per process and shared by all owners; what an owner trains, sends and is paid for are the
adapters alone: P numbers for a base of any size. The base stands outside the module that the trainer sees, so that
no copy, cast or upload of it can happen; during a forward pass each adapted projection is lent its owner's adapter.
"""

from __future__ import annotations

import inspect
import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from learning.data.answers import FILL, Answers
from learning.language.extra import required
from learning.models.families import MODELS, sequence_length
from learning.models.transformer import correction

PROJECTIONS = (("q_proj", "v_proj"), ("query", "value"), ("query_key_value",), ("qkv_proj",), ("c_attn",))
"""Names of attention projections in the model families of ``transformers``; the first that a model has are adapted."""


class Lent(nn.Module):
    """A frozen projection that adds the correction of the adapter that it is lent, if any (Hu et al. 2022, eq. 3)."""

    def __init__(self, projection: nn.Module, scale: float) -> None:
        super().__init__()
        self.projection = projection
        self.scale = scale
        self.adapter: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.projection(x)
        if self.adapter is None:
            return output
        down, up = self.adapter
        return output + correction(x.to(down.dtype), down, up, self.scale).to(output.dtype)


class Base:
    """A frozen model of V token ids whose projections take adapters, and how it wants to be called."""

    def __init__(self, model: Any, projections: dict[str, Lent]) -> None:
        self.model = model
        self.projections = projections
        self.vocabulary = int(model.get_input_embeddings().weight.shape[0])
        known = inspect.signature(model.forward).parameters
        self._positions, self._last_only = "position_ids" in known, "logits_to_keep" in known

    def logits(self, ids: Tensor, adapters: list[tuple[Tensor, Tensor]], last: int) -> Tensor:
        """Logits [B, last, V] at the last places of ids [B, T], ``FILL`` where there is no token."""
        there = ids != FILL
        call: dict[str, Any] = {"input_ids": ids.clamp_min(0), "attention_mask": there.long(), "use_cache": False}
        if self._positions:
            call["position_ids"] = (there.long().cumsum(dim=1) - 1).clamp_min(0)
        if self._last_only:
            call["logits_to_keep"] = last
        if next(self.model.parameters()).device != ids.device:
            self.model.to(ids.device)
        for projection, adapter in zip(self.projections.values(), adapters, strict=True):
            projection.adapter = adapter
        try:
            logits: Tensor = self.model(**call).logits
        finally:
            for projection in self.projections.values():
                projection.adapter = None
        return logits[:, -last:]


class AdaptedLM(nn.Module):
    """Token ids [B, T] (of any number type) to logits [B, R, V] of the answer; its parameters are the adapters.

    The A of each adapter starts as PyTorch's linear layers do, B at zero, so that at first nothing is corrected.
    """

    alone = True

    def __init__(self, base: Base, answers: Answers, rank: int) -> None:
        super().__init__()
        # In a tuple, so that it is no submodule: nothing of it is a parameter, is moved or is cast.
        self._base = (base,)
        self._length = answers.length
        self.vocabulary = base.vocabulary
        self.down, self.up = nn.ParameterList(), nn.ParameterList()
        for lent in base.projections.values():
            inputs, outputs = _features(lent.projection)
            down = torch.empty(rank, inputs)
            nn.init.kaiming_uniform_(down, a=math.sqrt(5))
            self.down.append(nn.Parameter(down))
            self.up.append(nn.Parameter(torch.zeros(outputs, rank)))

    def forward(self, x: Tensor) -> Tensor:
        adapters = list(zip(self.down, self.up, strict=True))
        # The token at each place of the answer is foretold one place before.
        logits = self._base[0].logits(x[:, :-1].long(), adapters, self._length)
        return logits.to(self.up[0].dtype)


@MODELS.register("causal_lm")
def causal_lm(
    shape: tuple[int, ...],
    classes: int,
    *,
    answers: Answers,
    path: str,
    rank: int = 32,
    alpha: float = 64.0,
    projections: list[str] | None = None,
    dtype: str = "float32",
    load_in_8bit: bool = False,
    local_files_only: bool = True,
) -> nn.Module:
    """A causal language model of `transformers`, frozen, with LoRA adapters on its attention projections.

    ``path`` is a folder or a name on the hub, from where it is fetched unless ``local_files_only``. ``projections`` are
    the last parts of the names of the adapted layers (default: queries and values). ``dtype`` is that of the base.
    Raises ``ValueError`` with one line for what cannot be loaded or adapted.
    """
    sequence_length("causal_lm", shape)
    if rank < 1 or not (math.isfinite(alpha) and alpha > 0):
        raise ValueError(f"the model 'causal_lm' needs a rank of at least 1 and an alpha above 0, got {rank}, {alpha}")
    wanted = None if projections is None else tuple(projections)
    base = _loaded(str(path), alpha / rank, wanted, dtype, load_in_8bit, local_files_only)
    return AdaptedLM(base, answers, rank)


@lru_cache(maxsize=2)
def _loaded(
    path: str, scale: float, wanted: tuple[str, ...] | None, dtype: str, in_8bit: bool, local_files_only: bool
) -> Base:
    transformers = required("transformers", "causal_lm")
    if dtype not in ("float32", "bfloat16", "float16"):
        raise ValueError(f"dtype must be float32, bfloat16 or float16, got '{dtype}'")
    options: dict[str, Any] = {"dtype": getattr(torch, dtype), "local_files_only": local_files_only}
    # A stranger's folder executes nothing: no pickled weights, no code beside them.
    options |= {"use_safetensors": True, "trust_remote_code": False}
    if in_8bit:
        options["quantization_config"] = _eight_bits(transformers)
    source = Path(path).expanduser()
    if not source.is_dir() and (source.is_absolute() or path.startswith((".", "~")) or path.count("/") > 1):
        raise ValueError(f"there is no folder '{path}' to load a language model from")
    progress = transformers.utils.logging
    bars = progress.is_progress_bar_enabled()
    progress.disable_progress_bar()
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(str(source) if source.is_dir() else path, **options)
    except Exception as error:  # the folder is the user's: whatever the library makes of it is the reason
        where = "the folder" if source.is_dir() else "the hub or its cache"
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ValueError(f"no causal language model '{path}' can be loaded from {where} ({reason})") from error
    finally:
        if bars:
            progress.enable_progress_bar()
    model.eval().requires_grad_(False)
    return Base(model, _lend(model, wanted, scale, path))


def _eight_bits(transformers: Any) -> Any:
    if not torch.cuda.is_available():
        raise ValueError("load_in_8bit needs a CUDA device, there is none")
    required("bitsandbytes", "load_in_8bit")
    return transformers.BitsAndBytesConfig(load_in_8bit=True)


def _lend(model: nn.Module, wanted: tuple[str, ...] | None, scale: float, path: str) -> dict[str, Lent]:
    """Put ``Lent`` around the projections of these names, in the order of the model."""
    named = {name: part for name, part in model.named_modules() if _is_projection(part)}
    last = {name.rpartition(".")[2] for name in named}
    chosen = next((names for names in PROJECTIONS if set(names) <= last), ()) if wanted is None else wanted
    missing = sorted(set(chosen) - last)
    if not chosen or missing:
        problem = f"no projections {', '.join(missing)}" if missing else "no attention projections of a known name"
        raise ValueError(f"the model '{path}' has {problem}; name some in projections: {', '.join(sorted(last))}")
    lent = {}
    for name, part in named.items():
        above, _, own = name.rpartition(".")
        if own in chosen:
            lent[name] = Lent(part, scale)
            setattr(model.get_submodule(above), own, lent[name])
    return lent


def _is_projection(part: nn.Module) -> bool:
    """A linear layer, in whatever precision, or the transposed one of the GPT-2 family."""
    return isinstance(part, nn.Linear) or type(part).__name__ == "Conv1D"


def _features(part: nn.Module) -> tuple[int, int]:
    """Inputs and outputs of a projection."""
    if isinstance(part, nn.Linear):
        return part.in_features, part.out_features
    assert isinstance(part.weight, Tensor)
    inputs, outputs = part.weight.shape  # Conv1D keeps its matrix the other way round
    return int(inputs), int(outputs)
