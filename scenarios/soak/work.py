"""What one process of a soak does: market after market (or file after file), and messages about each."""

from __future__ import annotations

import resource
import signal
import sys
import warnings
from multiprocessing.connection import Connection
from typing import Any

from scenarios.soak.dice import Dice
from scenarios.soak.report import Outcome, names_in
from scenarios.soak.shrinking import shrunk

STARTED, FOUND, DONE = "started", "found", "done"
PATIENCE = 300.0
"""Seconds of processor time for a market and its repetitions, and again for making it small; a busy machine takes
longer."""


def work(channel: Connection, seed: int, first: int, step: int, files: bool) -> None:
    """Try numbers ``first``, ``first + step``, ... until the process is ended; messages go to ``channel``.

    A market that breaks a law is told of at once (``FOUND``) and once more when it has been made small (``DONE``), so
    that it is known whenever the soak ends.
    """
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it says when it is over
    number = first
    while True:
        channel.send((STARTED, number))
        limit_processor_time(PATIENCE)
        outcome = _file(seed, number) if files else market(seed, number)
        outcome.peak_kib = peak_kib()
        if outcome.content is not None and not files:
            channel.send((FOUND, outcome))
            limit_processor_time(PATIENCE)
            outcome.content = made_small(outcome.content, outcome.verdict.broken)
            outcome.peak_kib = peak_kib()
        channel.send((DONE, outcome))
        number += step


def limit_processor_time(seconds: float) -> None:
    """From now on this process may work for so many seconds, until this is said again; then SIGPROF ends it."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_PROF, seconds)


def market(seed: int, number: int) -> Outcome:
    """Draw one market and try it; what a file that gives it says comes along if it breaks a law."""
    from scenarios.soak.markets import random_market
    from scenarios.soak.trial import Verdict, try_market

    try:
        drawn = random_market(seed, number)
    except Exception as error:  # what draws or builds a market must not fail either
        return Outcome(number, Verdict(broken="no_crash", said=f"drawing: {type(error).__name__}: {error}"))
    horizon = drawn.scenario.horizon
    verdict = try_market(drawn.scenario, broken_off_after=Dice(seed + 1, number).whole(1, horizon))
    content = drawn.content if verdict.broken else None
    return Outcome(number, verdict, names_in(drawn.content), content, drawn.left_out, horizon)


def made_small(content: dict[str, Any], law: str, seconds: float = 60.0) -> dict[str, Any]:
    """A scenario that breaks a law with as few parts as are found within so many seconds."""
    return shrunk(content, lambda smaller: breaks(smaller, law), seconds)


def breaks(content: dict[str, Any], law: str) -> bool:
    """Whether a scenario breaks this law (at whatever window it is broken off)."""
    from scenarios.errors import BadInput
    from scenarios.loading import check_scenario
    from scenarios.soak.markets import HERE
    from scenarios.soak.trial import try_market

    try:
        scenario = check_scenario(content, HERE)
    except BadInput:
        return False
    breaks_off = range(1, scenario.horizon + 1) if law in ("resume", "no_crash") else [None]
    return any(try_market(scenario, broken_off_after=windows).broken == law for windows in breaks_off)


def _file(seed: int, number: int) -> Outcome:
    from scenarios.soak.files import spoiled_file, try_file

    file = spoiled_file(seed, number)
    verdict = try_file(file)
    return Outcome(number, verdict, content=file if verdict.broken else None)


def peak_kib() -> int:
    """The most memory that this process has had, in KiB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most // 1024 if sys.platform == "darwin" else most
