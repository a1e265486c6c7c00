"""The simulation: a Mesa model whose clock is SimPy.

This is the adapter to Mesa: a ``Simulation`` wraps a ``World`` (state in columns), wires event kinds to the phases of a
round, and advances one reporting window ``[k, k + 1)`` per ``step()``. Who is in the market is a Mesa agent; the agents
are views of population rows and hold no state.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import mesa
import numpy as np

from agents.adaptation import make_adaptation
from agents.computing_center import ComputingCenter
from agents.confirmation import make_confirmation
from agents.model_owner import ModelOwner
from agents.participation import make_participation, make_patience
from agents.population import Population, Status
from agents.private_types import CENTER_BOUNDS, draw_center_types, make_distribution
from agents.regulation import make_regulation
from agents.regulator import Regulator
from agents.strategies import make_strategy, strategy_labels
from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.heterogeneity import emd
from learning.streams import Streams
from market.cocogen.rivalry import Rivalry
from market.graph import CollaborationGraph
from market.ledger import Ledger
from market.money import to_micro
from market.parties import MODEL_OWNER, WORLD
from scenarios.enforcement_checks import options_of, policy_of
from scenarios.engine import center_queues, losses, opening, outages, planning, rounds
from scenarios.engine.arriving import schedule_arrivals
from scenarios.engine.bookkeeping import book_the_tail, write_events, write_owners, write_run, write_transfers
from scenarios.engine.clock import NOBODY, Clock, Happening, Kind
from scenarios.engine.entering import arrive
from scenarios.engine.event_log import EventLog
from scenarios.engine.fault_list import Faults
from scenarios.engine.flights import Flights
from scenarios.engine.learning_setup import build_learning
from scenarios.engine.leaving import ExitKind, leaves_no_trace, write_episode
from scenarios.engine.privacy import open_accounts
from scenarios.engine.world import World
from scenarios.errors import BadInput
from scenarios.interventions import check_interventions
from scenarios.loading import load_scenario, resolved_yaml
from scenarios.owner_views import OwnerViews
from scenarios.registries import mechanisms, rivalries
from scenarios.schema import Intervention, Scenario
from scenarios.versions import versions

if TYPE_CHECKING:
    from learning.generation.speed import GenerationSpeed

HANDLERS: dict[Kind, Callable[[World, Happening], None]] = {
    Kind.ARRIVE: arrive,
    Kind.OPEN: opening.open_round,
    Kind.REPORT: opening.receive_reports,
    Kind.PLAN: planning.plan_round,
    Kind.START: center_queues.start_at_center,
    Kind.TRAINED: center_queues.finish_at_center,
    Kind.UPDATE: rounds.receive_updates,
    Kind.CLOSE: rounds.finish_round,
    Kind.LEAVE: rounds.leave_now,
    Kind.CRASH: losses.crash_clients,
    Kind.LOST: losses.lose_messages,
    Kind.FAULT: outages.turn_fault,
}
"""What happens at each kind of event; the phases of a round are written down in ``scenarios.engine.rounds``."""

TOGETHER = frozenset({Kind.REPORT, Kind.UPDATE})
"""Kinds whose handlers never schedule anything before the last entry that they are given."""


class Sink(Protocol):
    """Where the tables go: ``scenarios.recorder.Recorder`` or ``MemoryRecorder``."""

    def write(self, table: str, columns: Mapping[str, object]) -> None: ...

    def close(self, resolved_scenario: str, info: Mapping[str, Any]) -> Path | None: ...

    def abort(self) -> None: ...


Probe = Callable[["Simulation", Happening], None]
"""Called after every batch of handled events; may look at everything and must change nothing."""


@dataclass(frozen=True)
class Progress:
    """Where a run stands after a window; ``seconds`` is the wall-clock time so far."""

    window: int
    windows: int
    round: int
    accuracy: float
    active: int
    seconds: float


class Simulation(mesa.Model):
    """One run of a scenario; an ordinary Mesa model as well.

    ``scenario``: a ``Scenario``, the name of a ready-made one or a path; ``seed`` replaces the scenario's (text is
    read as a number, as a dashboard sends it); ``overrides`` are ``key=value`` texts; ``device`` is auto, cpu or cuda;
    ``recorder`` receives the tables; ``probes`` look on. Raises ``BadInput`` for a bad scenario and ``BadData`` for
    bad data.
    """

    def __init__(
        self,
        *,
        scenario: Scenario | str | Path = "quickstart",
        seed: int | str | None = None,
        overrides: Sequence[str] = (),
        device: str = "auto",
        recorder: Sink | None = None,
        probes: Sequence[Probe] = (),
    ) -> None:
        if not isinstance(scenario, Scenario):
            scenario = load_scenario(scenario, overrides=overrides)
        if seed is not None:
            scenario = scenario.model_copy(update={"seed": int(seed)})
        super().__init__(seed=scenario.seed)
        self.running: bool = True
        self.wanted_device = device
        self.scenario = scenario
        self.recorder = recorder
        self.probes = tuple(probes)
        self._started = time.perf_counter()
        self.world = self._build_world(device)
        self.owners = OwnerViews(self, self.world.population)
        self.world.clock = Clock({kind: self._handler(kind) for kind in HANDLERS}, self.together, self._still_valid)
        self.centers = self._build_centers()
        self.world.centers = self.centers
        treasury = to_micro(scenario.market.treasury)
        self.world.post(0, "treasury", WORLD, MODEL_OWNER, treasury)
        schedule_arrivals(self.world)
        self.world.clock.at(Kind.OPEN, 0)
        outages.announce_faults(self.world)
        self.datacollector = mesa.DataCollector(
            model_reporters={
                "accuracy": lambda model: model.world.accuracy,
                "active": lambda model: len(model.owners),
                "free_rider_share": "free_rider_share",
                "welfare": lambda model: model.world.last_row.get("welfare", float("nan")),
                "paid": lambda model: model.world.last_row.get("paid", float("nan")),
            }
        )
        self.provenance: dict[str, Any] = {}  # what else ``run.json`` is to say of how the run came about
        self._finished = False

    # -- what Mesa and its tools read ------------------------------------------------------------------------------

    @property
    def agents(self) -> Any:
        """Mesa's set of all agents: owners in the market, computing centers, model owner and regulator."""
        self.owners.make_all()
        return super().agents

    @property
    def agents_by_type(self) -> Any:
        """Mesa's sets of agents by their class."""
        self.owners.make_all()
        return super().agents_by_type

    @property
    def agent_types(self) -> Any:
        """The classes of the agents that there are."""
        return list(self.agents_by_type)

    @property
    def population(self) -> Population:
        """The population table."""
        return self.world.population

    @property
    def strategies(self) -> list[Any]:
        """The run's strategies, in the order of the population's ``strategy`` column."""
        return self.world.strategies

    @property
    def graph(self) -> CollaborationGraph:
        """The collaboration graph."""
        return self.world.graph

    @property
    def free_rider_share(self) -> float:
        """Share of the owners in the market whose strategy forges its uploads; NaN when nobody is there."""
        active = self.population.active()
        if len(active) == 0:
            return float("nan")
        forging = np.array([not strategy.trains for strategy in self.world.strategies])
        return float(forging[self.population.strategy[active]].mean())

    @property
    def now(self) -> int:
        """Current tick."""
        return self.world.clock.now

    # -- playing ---------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Play one window. Does nothing once the horizon is reached."""
        if not self.running:
            return
        self.world.clock.run_until(self.steps * self.world.window_ticks)
        if self.steps >= self.scenario.horizon:
            self.running = False
        self.datacollector.collect(self)

    def play(self) -> Iterator[Progress]:
        """Play to the horizon, a ``Progress`` after each window."""
        while self.running:
            self.step()
            yield Progress(
                window=self.steps,
                windows=self.scenario.horizon,
                round=self.world.rounds_closed,
                accuracy=self.world.accuracy,
                active=len(self.owners),
                seconds=time.perf_counter() - self._started,
            )

    def run(self) -> Path | None:
        """Play to the horizon and finish; the run folder, if the recorder has one."""
        for _ in self.play():
            pass
        return self.finish()

    def finish(self) -> Path | None:
        """Write the last state (censored episodes, final owners, the run) and close the recorder. Only once."""
        if self._finished:
            return None
        self._finished = True
        world, ticks = self.world, self.now
        book_the_tail(world)
        write_episode(world, world.population.active(), ExitKind.CENSORED, ticks)
        world.round = None
        write_owners(world, "final", np.arange(len(world.population)))
        write_transfers(world)
        write_events(world)
        write_run(world, self.scenario, self.device, ticks, min(self.steps, self.scenario.horizon))
        if self.recorder is None:
            return None
        info = {"seed": self.scenario.seed, "scenario": self.scenario.name, "device": self.device, **versions()}
        info |= self.provenance
        if world.training is not None:
            choice, report = world.training.choice, world.training.report
            info["training"] = {
                "backend": choice.backend,
                "chunk": choice.chunk,
                "dtype": report.dtype,
                "threads": self.scenario.learning.threads,
                "halvings": report.halvings,
            }
        return self.recorder.close(resolved_yaml(self.resolved), info)

    @property
    def resolved(self) -> Scenario:
        """The scenario with the back-end and the chunk that were chosen for it.

        Kernels differ in the last bits, so a repetition needs the same ones: playing this gives the same bits, and
        nothing is chosen or measured again. (Unless a device lacks memory: ``halvings`` in ``run.json`` counts that.)
        """
        if self.world.training is None:
            return self.scenario
        choice = self.world.training.choice
        fixed = self.scenario.learning.model_copy(update={"backend": choice.backend, "chunk": choice.chunk})
        return self.scenario.model_copy(update={"learning": fixed})

    def intervene(self, settings: Mapping[str, Any]) -> int:
        """Turn levers (values by dotted path) when the next round opens; the number of that round.

        The scenario takes the intervention up: playing it again from the start gives the same run. Raises
        ``BadInput`` for what is no lever or no value for it, and changes nothing then.
        """
        self.scenario = self.with_intervention(settings)
        planned = self.scenario.interventions
        self.world.scenario = self.world.scenario.model_copy(update={"interventions": planned})
        return self._next_round

    def with_intervention(self, settings: Mapping[str, Any]) -> Scenario:
        """What ``intervene`` would make of the scenario; raises what it raises, and changes nothing."""
        number, planned = self._next_round, self.scenario.interventions
        due = sum(one.round <= number for one in planned)
        mine = Intervention(round=number, set=dict(settings))
        scenario = self.scenario.model_copy(update={"interventions": (*planned[:due], mine, *planned[due:])})
        wrong = check_interventions(scenario)
        if wrong is not None:
            raise BadInput("", ".".join(map(str, wrong.field)), wrong.value, wrong.expected, wrong.problem)
        return scenario

    @property
    def _next_round(self) -> int:
        return self.world.rounds_closed + (self.world.round is not None)

    # -- building --------------------------------------------------------------------------------------------------

    def _build_world(self, device: str) -> World:
        scenario = self.scenario
        streams = Streams(scenario.seed)
        learning = build_learning(scenario, streams, device)
        self.device = learning.device
        policy, tuning = policy_of(scenario.enforcement), scenario.enforcement.regulation
        shares = scenario.population.strategies
        names = strategy_labels([(share.name, share.params) for share in shares])
        kinds = type(scenario.population.types).model_fields
        distributions = {name: getattr(scenario.population.types, name) for name in kinds}
        rule = scenario.population.participation
        calm = scenario.population.patience
        change = scenario.population.adaptation
        changing = make_adaptation(change.name, change.params)
        paying = scenario.population.confirmation
        mechanism = scenario.market.mechanism
        built = mechanisms()[mechanism.name](**mechanism.params)
        self.model_owner = ModelOwner(self, scenario.market.budget, scenario.market.revenue)
        regulation = make_regulation(tuning.name, tuning.params)
        self.regulator = Regulator(self, policy, regulation, options_of(scenario.enforcement))
        board = dataclasses.replace(
            self.regulator.announcement(),
            budget=self.model_owner.announce_budget(int(to_micro(scenario.market.treasury))),
            chance=learning.chance,
        )
        return World(
            scenario=scenario,
            streams=streams,
            population=Population(scenario.population.initial, len(names) if changing.keeps_scores else 0),
            ledger=Ledger(0, scenario.centers.count),
            graph=CollaborationGraph(),
            log=EventLog(),
            flights=Flights(),
            mechanism=built,
            strategies=[make_strategy(share.name, share.params) for share in shares],
            strategy_names=names,
            participation=make_participation(rule.name, rule.params),
            adaptation=changing,
            confirmation=make_confirmation(paying.name, paying.params),
            policy=policy,
            patience=make_patience(calm.name, calm.params),
            model_owner=self.model_owner,
            regulator=self.regulator,
            centers=[],
            center_types=self._center_types(streams),
            federation=learning.federation,
            personal=learning.personal,
            board=board,
            types={name: make_distribution(spec.name, spec.params) for name, spec in distributions.items()},
            shard_sizes=learning.shard_sizes,
            shard_quality=learning.shard_quality,
            accounts=open_accounts(scenario, built),
            shard_emd=emd(learning.labels.own, learning.labels.overall),
            sub_shards=learning.sub_shards,
            rivalry=self._rivalry(),
            shard_labels=learning.labels,
            speed=self._generation_speed(),
            faults=Faults.of(scenario),
            write=self._write,
            on_leave=self._on_leave,
        )

    def _rivalry(self) -> Rivalry | None:
        chosen = self.scenario.market.competition
        return None if chosen is None else rivalries()[chosen.name](**chosen.params)

    def _generation_speed(self) -> GenerationSpeed | None:
        spec = self.scenario.learning.generation
        if spec is None:
            return None
        from learning.generation.speed import GenerationSpeed

        return GenerationSpeed(spec.fit_seconds, spec.seconds_per_sample)

    def _build_centers(self) -> list[ComputingCenter]:
        spec = self.scenario.centers
        rates = self.world.center_types["rate"].tolist()
        return [ComputingCenter(self, k, self.world.clock.env, spec.slots, rate) for k, rate in enumerate(rates)]

    def _center_types(self, streams: Streams) -> dict[str, FloatColumn]:
        spec = self.scenario.centers
        named = {name: getattr(spec, name) for name in CENTER_BOUNDS}
        kinds = {name: make_distribution(choice.name, choice.params) for name, choice in named.items()}
        return draw_center_types(spec.count, kinds, streams)

    # -- wiring ----------------------------------------------------------------------------------------------------

    def _handler(self, kind: Kind) -> Callable[[Happening], None]:
        handle = HANDLERS[kind]

        def handler(happening: Happening) -> None:
            handle(self.world, happening)
            for probe in self.probes:
                probe(self, happening)

        return handler

    def together(self, kind: Kind) -> bool:
        """Whether entries of this kind with nothing else between them are handled in one call."""
        return kind in TOGETHER or (kind is Kind.LEAVE and leaves_no_trace(self.world))

    def _still_valid(self, kind: Kind, owners: IntColumn, stays: IntColumn) -> BoolColumn:
        """Entries of the market itself always count; an owner's only while that stay lasts (or, to come, has ended)."""
        if len(owners) == 1 and owners[0] == NOBODY:
            return np.ones(1, dtype=np.bool_)
        rows = np.maximum(owners, 0)
        status = self.population.status
        if len(status) == 0:
            return np.asarray(owners == NOBODY)
        now = status[rows]
        fits = (now == Status.OUTSIDE) | (now == Status.LEFT) if kind is Kind.ARRIVE else now == Status.ACTIVE
        return np.asarray((owners == NOBODY) | (fits & (self.population.stay[rows] == stays)))

    def _write(self, table: str, columns: Mapping[str, object]) -> None:
        if self.recorder is not None:
            self.recorder.write(table, columns)

    def _on_leave(self, owner: int) -> None:
        self.owners.forget(owner)
