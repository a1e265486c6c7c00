"""Commands in a process in which folders without permission and disks without room are what they say, also for root."""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from kept_runs import PROCESSES

_DROP_FROM_BOUND = 24  # PR_CAPBSET_DROP of <linux/prctl.h>
_IGNORE_PERMISSIONS = (1, 2)  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH of <linux/capability.h>
_VERSION = 0x20080522


class Said(NamedTuple):
    """How a command ended: its exit code, and what it wrote to standard error."""

    code: int
    error: str


Ask = Callable[[Sequence[str]], Said]


def without_privilege() -> None:
    """Take from this process, and those it starts, the right of root to write where nobody may."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("Ii", _VERSION, 0)
    data = ctypes.create_string_buffer(24)  # effective, permitted, inheritable: the low words, then the high ones
    if libc.capget(header, data):
        raise OSError(ctypes.get_errno(), "capget")
    words = list(struct.unpack("6I", data.raw))
    mask = ~sum(1 << number for number in _IGNORE_PERMISSIONS)
    for number in _IGNORE_PERMISSIONS:
        libc.prctl(_DROP_FROM_BOUND, number, 0, 0, 0)
    if libc.capset(header, struct.pack("6I", *(word & mask for word in words[:3]), *words[3:])):
        raise OSError(ctypes.get_errno(), "capset")


def without_room() -> None:
    """Let the kernel refuse every file of this process and of those it starts that grows beyond a few bytes."""
    sys.dont_write_bytecode = True  # Python would leave files of half a module for the tests that come later
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, 40))


@contextmanager
def asked(under: Callable[[], None], place: Path) -> Iterator[Ask]:
    """What runs ``datagora`` commands in a process that is at ``place`` and ``under`` such conditions."""
    ours, theirs = PROCESSES.Pipe()
    process = PROCESSES.Process(target=_answer, args=(theirs, under, place))
    process.start()
    theirs.close()

    def ask(words: Sequence[str]) -> Said:
        ours.send(words)
        return Said(*ours.recv())

    try:
        yield ask
    finally:
        ours.close()
        process.join()


def _answer(channel: Any, under: Callable[[], None], place: Path) -> None:
    from scenarios.cli import main

    os.chdir(place)
    read, write = os.pipe()  # no file, which could not grow
    os.set_blocking(read, False)
    os.dup2(write, 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    under()
    with suppress(EOFError):
        while True:
            words = channel.recv()
            try:
                code = main(words)
            except BaseException:  # a traceback is what users would see
                code = -1
                traceback.print_exc()
            sys.stderr.flush()
            print(file=sys.stderr, flush=True)  # so that there is something to read
            channel.send((code, os.read(read, 60_000).decode()[:-1]))


def tell_of_a_broken_law(channel: Any, *_: Any) -> None:
    """A worker of ``datagora soak`` whose first market has broken a law."""
    from scenarios.soak.report import Outcome
    from scenarios.soak.trial import Verdict

    channel.send(("ended", Outcome(3, Verdict("books_close", "off by 1"), content={"horizon": list(range(50))})))
