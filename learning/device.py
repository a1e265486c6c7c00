"""Where tensors live and how many threads compute on them."""

from __future__ import annotations

import platform
from functools import lru_cache
from pathlib import Path

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


@lru_cache(maxsize=8)
def describe(device: torch.device) -> str:
    """The kind of device and its model in one short line, as ``cuda (NVIDIA A100)``."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return f"{device.type} ({name})"


def free_bytes(device: torch.device) -> int | None:
    """Memory that new tensors can have on a CUDA device, in bytes; None on other devices, which nobody limits here."""
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    # PyTorch keeps freed blocks for itself; they are free for its next tensors.
    return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))


def finish(device: torch.device) -> None:
    """Wait until a device has computed all it was given, so that a clock can be read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def release_memory(device: torch.device) -> None:
    """Give the blocks that PyTorch keeps for later back to a CUDA device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _processor() -> str:
    """The processor's model and vector instructions: what the bits and the speed of a kernel depend on."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    name = next(models, "") or platform.processor() or platform.machine()
    return f"{name}, {torch.backends.cpu.get_cpu_capability()}"
