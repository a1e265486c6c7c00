"""Requests to stop a command: Ctrl-C, a request to terminate, a closed terminal."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_ENDINGS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """A request to terminate, or a closed terminal, ends a run as Ctrl-C does: nothing half written stays.

    Gives a function that tells whether such a request has come. Python drops an exception that is raised within a
    finaliser or a weak reference's callback, so a run must ask as well.
    """

    def stop(_count: int) -> None:
        raise KeyboardInterrupt

    with _answered(stop) as asked:
        yield asked


@contextmanager
def patient() -> Iterator[Callable[[], bool]]:
    """A request to terminate (or Ctrl-C, or a closed terminal) is noted, so that a checkpoint can be taken first.

    Gives a function that tells whether one has come. A second request ends at once, by ``KeyboardInterrupt``.
    """

    def note(count: int) -> None:
        if count > 1:
            raise KeyboardInterrupt
        print("stopping after this window, with a checkpoint; ask again to stop at once", file=sys.stderr)

    with _answered(note) as asked:
        yield asked


@contextmanager
def _answered(answer: Callable[[int], None]) -> Iterator[Callable[[], bool]]:
    """Every request is counted and given to ``answer``, with the count."""
    received: list[int] = []

    def receive(kind: int, _frame: object) -> None:
        received.append(kind)
        answer(len(received))

    try:
        before = {kind: signal.signal(kind, receive) for kind in _ENDINGS}
    except ValueError:  # not in the main thread: whoever started it there looks after signals
        before = {}
    try:
        yield lambda: bool(received)
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
