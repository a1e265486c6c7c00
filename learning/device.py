"""Where tensors live and how many threads compute on them."""

from __future__ import annotations

import torch

DEVICES = ("auto", "cpu", "cuda")


def resolve_device(name: str) -> torch.device:
    """The torch device for ``auto`` (CUDA when there is one), ``cpu`` or ``cuda``.

    On CUDA the convolutions are told to repeat their bits: cuDNN's deterministic algorithms, full float32, no timing
    contest between algorithms (the winner would depend on the moment).
    Raises ``ValueError`` for an unknown name, and for ``cuda`` on a machine without it.
    """
    if name not in DEVICES:
        raise ValueError(f"unknown device '{name}', expected one of: {', '.join(DEVICES)}")
    present = torch.cuda.is_available()
    if name == "cuda" and not present:
        raise ValueError("device 'cuda' was asked for, but PyTorch finds no CUDA device on this machine")
    if name == "cpu" or not present:
        return torch.device("cpu")
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    return torch.device("cuda")


def use_threads(count: int) -> None:
    """Let one operation use at most ``count`` CPU threads. One is best for small models: waiting threads spin."""
    if count < 1:
        raise ValueError(f"the number of threads must be at least 1, got {count}")
    torch.set_num_threads(count)
