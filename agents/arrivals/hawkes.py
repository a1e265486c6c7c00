"""Self-exciting arrivals: who comes draws others along."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from agents.arrivals.base import ARRIVALS, Arrivals, Draws, Visits
from agents.arrivals.poisson import RATE
from agents.parameters import POSITIVE, Bounds, check_number

_BLOCK = 1024


@ARRIVALS.register("self_exciting")
@dataclass(frozen=True, kw_only=True)
class SelfExciting(Arrivals):
    """A Hawkes process: ``rate`` come by themselves, and each draws ``followers`` (below 1) more, at decay ``decay``.

    The rate at t is rate + followers * decay * sum over earlier arrivals of exp(-decay (t - t_i)), ``decay`` per
    window (Hawkes 1971, Spectra of some self-exciting and mutually exciting point processes, Biometrika 58). In the
    long run rate / (1 - followers) come per window. Drawn by thinning (Ogata 1981, On Lewis' simulation method for
    point processes): between arrivals the rate only falls, so that after a candidate it bounds what follows.
    """

    name: ClassVar[str] = "self_exciting"
    rate: float
    followers: float = 0.5
    decay: float = 1.0

    def __post_init__(self) -> None:
        check_number("rate", self.rate, RATE)
        check_number("followers", self.followers, Bounds(at_least=0, below=1))
        check_number("decay", self.decay, POSITIVE)

    def visits(self, end: float, window: float, draws: Draws) -> Visits:
        times: list[float] = []
        now, excited, number = 0.0, 0.0, 0
        gaps = lots = np.zeros(0)
        while self.rate > 0.0:
            place = number % _BLOCK
            if place == 0:
                gaps, lots = draws.gaps(number, _BLOCK), draws.lots(number, _BLOCK)
            number += 1
            bound = self.rate + excited
            gap = float(gaps[place]) / bound
            now, excited = now + gap, excited * math.exp(-self.decay * gap)
            if now >= end:
                break
            if lots[place] * bound < self.rate + excited:
                times.append(now)
                excited += self.followers * self.decay
        return Visits(np.array(times))

    def drawn(self, end: float) -> float:
        """The mean number of arrivals, for the mean rate m with m' = decay * (rate - (1 - followers) * m).

        From m(0) = rate it approaches rate / (1 - followers), the sooner the farther ``followers`` is from 1.
        """
        own = 1.0 - self.followers
        pace = own * self.decay
        if pace == 0.0:  # too slow for any number: followers do not come in time
            return self.rate * end
        return self.rate / own * (end + self.followers * math.expm1(-pace * end) / pace)
