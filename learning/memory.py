"""When memory runs out: what is done at once is halved and tried again, until it fits.

Nothing but speed is lost. What is computed in parts is joined to the same whole; only the last bits of a sum may
differ, as they do between any two sizes of a batched product.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import lru_cache

import torch
from torch import Tensor

from learning.device import release_memory

_LOG = logging.getLogger(__name__)

_SAID = ("can't allocate memory", "not enough memory", "out of memory", "ALLOC_FAILED")
"""What PyTorch says where memory for a tensor, on a CPU, or for a kernel's scratch, on CUDA, is not to be had."""


class OutOfMemory(torch.OutOfMemoryError):
    """Not even the smallest part fits; ``str()`` of it is one line that says what it is."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on whatever device."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _SAID)


@lru_cache(maxsize=1000)
def tell_halving(what: str, size: int, smaller: int) -> None:
    """One line for the log, once: ``what`` was tried with ``size`` at once and is tried again with fewer."""
    _LOG.warning("out of memory: %s, %d at once; trying again with %d", what, size, smaller)


def fits(attempt: Callable[[], None], device: torch.device) -> bool:
    """Make an attempt; False if it ran out of memory, which is free again then."""
    try:
        attempt()
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    else:
        return True
    release_memory(device)  # not before the error is gone, which holds what was computed
    return False


def rows_in_parts(compute: Callable[[slice], Tensor], rows: int, device: torch.device, what: str) -> Tensor:
    """What ``compute`` makes of rows 0 to ``rows`` - 1, one above the other: at once, or in halves if memory runs out.

    Raises ``OutOfMemory`` if not even one row of ``what`` fits.
    """
    found: list[Tensor] = []
    each_part(lambda part: found.append(compute(part)), slice(0, rows), device, what)
    return found[0] if len(found) == 1 else torch.cat(found)


def each_part(compute: Callable[[slice], None], rows: slice, device: torch.device, what: str) -> None:
    """Have ``compute`` meet some rows, all at once or in halves, in their order, where memory runs out.

    It keeps what it finds only when it has found all of it. Raises ``OutOfMemory`` as ``rows_in_parts`` does.
    """
    if fits(lambda: compute(rows), device):
        return
    count = rows.stop - rows.start
    if count <= 1:
        raise OutOfMemory(f"out of memory: not even one of the {what} fits on this device")
    tell_halving(what, count, -(-count // 2))
    middle = (rows.start + rows.stop + 1) // 2
    each_part(compute, slice(rows.start, middle), device, what)
    each_part(compute, slice(middle, rows.stop), device, what)


def in_parts(compute: Callable[[slice, Tensor, Tensor], None], models: slice, x: Tensor, y: Tensor) -> None:
    """Have some models meet samples x [S, *shape] with labels y [S]: all at once, or in halves where memory runs out.

    ``compute`` adds up what it finds, and only when it has found all of it. First there are fewer models at once, then
    fewer samples. Raises ``OutOfMemory`` if one model cannot meet one sample.
    """
    if fits(lambda: compute(models, x, y), x.device):
        return
    count = models.stop - models.start
    if count == 1 and len(y) <= 1:
        raise OutOfMemory("out of memory: a single sample does not pass through the model on this device")
    if count > 1:
        tell_halving("models under test", count, -(-count // 2))
    else:
        tell_halving("samples of a test", len(y), -(-len(y) // 2))
    for part, samples, labels in _halves(models, x, y):
        in_parts(compute, part, samples, labels)


def _halves(models: slice, x: Tensor, y: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
    middle = (models.start + models.stop) // 2
    if middle > models.start:
        yield slice(models.start, middle), x, y
        yield slice(middle, models.stop), x, y
        return
    half = len(y) // 2
    yield models, x[:half], y[:half]
    yield models, x[half:], y[half:]
