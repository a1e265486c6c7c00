"""Where tensors live and how many threads compute on them."""

from __future__ import annotations

import ctypes
import os
import platform
from functools import lru_cache
from pathlib import Path

import torch

DEVICES = ("auto", "cpu", "cuda")

KEPT_BLOCK, KEPT_BYTES = 2**25, 2**28
"""Tensors on a CPU of up to this size, and so much of freed memory in all, stay with the process."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # <malloc.h>


def resolve_device(name: str) -> torch.device:
    """The torch device for ``auto`` (CUDA when there is one), ``cpu`` or ``cuda``.

    Also has the process keep freed memory (``keep_freed_memory``), wherever the tensors are.
    On CUDA the convolutions are told to repeat their bits: cuDNN's deterministic algorithms, full float32, no timing
    contest between algorithms (the winner would depend on the moment).
    Raises ``ValueError`` for an unknown name, and for ``cuda`` on a machine without it.
    """
    if name not in DEVICES:
        raise ValueError(f"unknown device '{name}', expected one of: {', '.join(DEVICES)}")
    keep_freed_memory()
    present = torch.cuda.is_available()
    if name == "cuda" and not present:
        raise ValueError("device 'cuda' was asked for, but PyTorch finds no CUDA device on this machine")
    if name == "cpu" or not present:
        return torch.device("cpu")
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    return torch.device("cuda")


@lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Have the C library keep freed memory for the next tensors; returns whether it does.

    Left to itself, glibc gives large blocks back after every step, and the kernel clears new pages for the next: a
    third of the time of softmax regression (measured). Costs up to ``KEPT_BYTES`` that other processes cannot use.
    Nothing is done without glibc, or where the user has set its allocator by the environment.
    """
    if "GLIBC_TUNABLES" in os.environ or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        if not (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc"):
            return False
        mallopt = ctypes.CDLL(None).mallopt
    except (ValueError, OSError, AttributeError):  # another C library, or another operating system
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, KEPT_BLOCK)) and bool(mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES))


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
