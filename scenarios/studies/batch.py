"""Playing a plan to the end: what is missing goes to an engine, what comes back is counted and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from scenarios.studies.gathering import Listing, table_of_runs
from scenarios.studies.loading import resolved_study
from scenarios.studies.planning import Plan
from scenarios.studies.playing import Outcome, Task
from scenarios.studies.progress import Standing, Tally, Teller
from scenarios.studies.store import RUNS_FILE, BadStudy, Store
from scenarios.versions import versions

MANIFEST_FORMAT = 1


class Engine(Protocol):
    """Who plays the runs: processes of this machine, or a cluster. Finished runs are in the store when told.

    ``play`` gives None now and then while no run ends.
    """

    @property
    def in_flight(self) -> int: ...

    def play(self, tasks: Iterator[Task]) -> Iterator[Outcome | None]: ...


@dataclass(frozen=True)
class Batch:
    """A plan and the folder it is played into, which ``Store.begin`` has made ours.

    ``checkpoint_every``: how often each run is kept on its way, as on the command line; None for never.
    """

    plan: Plan
    store: Store
    checkpoint_every: str | None = None

    def play(self, engine: Engine, teller: Callable[[int], Teller]) -> Standing:
        """Play all runs that are neither done nor failed; ``teller`` is made from the number of runs.

        Writes the table of runs at the end, also when interrupted. ``BadStudy`` where there is no room for results.
        """
        replications = self.plan.first_replications()
        with self.store.set_aside(RUNS_FILE):  # it would be out of date
            tally = self._begin(replications)
        told = teller(tally.runs)
        told.tell(tally.standing(0))
        try:
            while True:
                self._play_missing(replications, engine, tally, told)
                more = self.more_replications(replications)
                if more == replications:
                    break
                replications = more
                self._begin(replications, tally)
        except BaseException:
            with suppress(OSError, BadStudy):  # what went wrong first is what the user has to know
                self.write_table()
            raise
        self.write_table()
        return tally.standing(0)

    def more_replications(self, replications: Sequence[int]) -> list[int]:
        """How often each cell has to be played for the interval that the study wants [cells]."""
        from scenarios.studies.schema import Replications

        wanted = self.plan.study.replications
        if not isinstance(wanted, Replications):
            return list(replications)
        from scenarios.studies.sequential import more_replications

        listing = Listing.of(self.manifest(replications))
        return more_replications(self.store, listing, wanted)

    def write_table(self) -> None:
        """Write the table of runs from what is there now."""
        listing = Listing.of(self.store.manifest())
        self.store.write(RUNS_FILE, table_of_runs(self.store, listing))

    def manifest(self, replications: Sequence[int]) -> dict[str, Any]:
        """What the manifest says about the plan with so many replications of each cell."""
        points = self.plan.points
        return {
            "format": MANIFEST_FORMAT,
            "name": self.plan.study.name,
            **versions(),
            "points": points.values,
            "places": None if points.places is None else points.places.tolist(),
            "cells": [[cell.scenario, cell.point] for cell in self.plan.cells],
            "replications": list(replications),
            "runs": [[run.id, run.seed] for run in self.plan.runs(replications)],
        }

    def _begin(self, replications: Sequence[int], tally: Tally | None = None) -> Tally:
        """Write down what is to be played, and count what is there of it."""
        self.store.write_plan(resolved_study(self.plan.study), self.manifest(replications))
        planned = {run.id for run in self.plan.runs(replications)}
        done, failed = len(self.store.done() & planned), len(self.store.failed() & planned)
        if tally is None:
            return Tally(len(planned), done, failed)
        tally.runs, tally.done, tally.failed = len(planned), done, failed
        return tally

    def _play_missing(self, replications: Sequence[int], engine: Engine, tally: Tally, told: Teller) -> None:
        for outcome in engine.play(self._missing(replications)):
            if outcome is None:
                told.tell(tally.standing(engine.in_flight))
                continue
            if outcome.status == "no room":
                raise BadStudy(f"{outcome.text}; {tally.done} of {tally.runs} runs are done, resume when there is room")
            if outcome.status == "failed":
                self.store.write_failure(outcome.run, outcome.text)
            tally.count(outcome.status == "failed")
            told.tell(tally.standing(engine.in_flight))

    def _missing(self, replications: Sequence[int]) -> Iterator[Task]:
        """The runs that are to be played, each once, in the order of the plan."""
        settled = self.store.done() | self.store.failed()
        study = self.plan.study
        keep = frozenset(study.keep)
        for run in self.plan.runs(replications):
            if run.id not in settled:
                settled.add(run.id)
                yield Task(
                    run.id, run.cell.resolved(), run.seed, study.device, keep, self.store.unfinished,
                    self.checkpoint_every,
                )  # fmt: skip
