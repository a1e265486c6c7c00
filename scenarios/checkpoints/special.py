"""Things that a walk through attributes cannot copy, each with what is taken from it and how it is put back.

``taken`` gives a mapping that the walk can go on with; ``put`` sets a freshly built thing to what came back. Whatever
must wait until all else is in place says so with ``late``: the higher, the later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import mesa
import networkx as nx
import simpy

from agents.computing_center import ComputingCenter, SlotRequest
from scenarios.buffers import TableBuffer
from scenarios.checkpoints.kinds import BadCheckpoint, Unkeepable, attributes, set_attribute
from scenarios.engine.clock import Clock
from scenarios.interventions import in_force
from scenarios.simulation import Simulation

State = dict[str, Any]


@dataclass(frozen=True)
class Special:
    """How one kind of thing is taken and put back."""

    taken: Callable[[Any], State]
    put: Callable[[Any, Mapping[str, Any]], None]
    late: int = 0


def special_for(value: object) -> Special | None:
    """How to treat a thing, None for all that is nothing special."""
    for kind, special in _KINDS.items():
        if isinstance(value, kind):
            return special
    return None


# -- the simulation: what Mesa adds to it stays as it was built ------------------------------------------------------

_MESAS_OWN = frozenset(vars(mesa.Model(seed=0))) - {"steps", "running"}
_WIRING = frozenset({"datacollector", "device", "probes", "recorder", "wanted_device", "_started"})
_COLLECTED = "collected"


def _simulation_taken(simulation: Simulation) -> State:
    kept = {name: part for name, part in attributes(simulation).items() if name not in _MESAS_OWN | _WIRING}
    # The world first: what refers back to it, from a queue at a center, then finds it known.
    return {"world": simulation.world, **kept, _COLLECTED: simulation.datacollector.model_vars}


def _simulation_put(simulation: Simulation, state: Mapping[str, Any]) -> None:
    for name, part in state.items():
        if name == _COLLECTED:
            simulation.datacollector.model_vars = part
        else:
            set_attribute(simulation, name, part)
    # Scenarios are built, not kept: what is in force follows from how many interventions have been made.
    world = simulation.world
    world.scenario = in_force(simulation.scenario, world.intervened)


# -- the clock: SimPy's queue as waves in their order ----------------------------------------------------------------


def _clock_taken(clock: Clock) -> State:
    waves = list(clock.pending())
    # The end of the last window stays in SimPy's queue, but nothing hangs on it any more.
    heard = sum(1 for _, _, _, event in clock.env._queue if event.callbacks)
    if heard > len(waves):
        raise Unkeepable("the clock has pending events that are no waves; keep it between two windows")
    own = {name: part for name, part in attributes(clock).items() if name not in ("env", "_waves")}
    return {"own": own, "now": clock.now, "waves": waves}


def _clock_put(clock: Clock, state: Mapping[str, Any]) -> None:
    for name, part in state["own"].items():
        set_attribute(clock, name, part)
    clock._waves.clear()
    clock.env._queue.clear()
    if not state["now"] >= clock.now:
        raise BadCheckpoint(f"its clock stands at {state['now']}")
    if state["now"] > clock.now:
        clock.env.run(until=state["now"])  # with nothing in the queue this sets the time and no more
    for wave in state["waves"]:
        clock._arm(wave)


# -- computing centers: who holds a slot, who waits and what happens when its turn comes -----------------------------


def _center_taken(center: ComputingCenter) -> State:
    own = {name: part for name, part in attributes(center).items() if name != "_slots"}
    waiting = [
        [request.owner, [call for call in request.callbacks if getattr(call, "__self__", None) is not center._slots]]
        for request in center._slots.queue  # without what SimPy hangs on every request by itself
    ]
    return {"own": own, "running": center.running(), "waiting": waiting}


def _center_put(center: ComputingCenter, state: Mapping[str, Any]) -> None:
    for name, part in state["own"].items():
        set_attribute(center, name, part)
    slots = simpy.Resource(center._slots._env, capacity=int(center._slots.capacity))
    center._slots = slots
    for owner in state["running"]:
        SlotRequest(slots, owner)  # granted at once; the clock, which comes later, drops the event of it
    for owner, callbacks in state["waiting"]:
        SlotRequest(slots, owner).callbacks.extend(callbacks)
    if center.running() != state["running"]:
        raise BadCheckpoint(f"computing center {center.center} has {slots.capacity} slots, not {state['running']}")


# -- graphs: edges as columns, and the order of neighbours on both sides ---------------------------------------------


def _graph_taken(graph: nx.DiGraph[Any]) -> State:
    if any(data for _, data in graph.nodes(data=True)) or graph.graph:
        raise Unkeepable("a graph with attributes of nodes, which no checkpoint can keep")
    pairs = [(user, source) for user, sources in vars(graph)["_adj"].items() for source in sources]
    edges = [data for sources in vars(graph)["_adj"].values() for data in sources.values()]
    names = tuple(edges[0]) if edges else ()
    if set(map(tuple, edges)) - {names}:
        raise Unkeepable("a graph whose edges differ in their attributes, which no checkpoint can keep")
    columns = zip(*(data.values() for data in edges), strict=True) if names else ()
    place = {pair: number for number, pair in enumerate(pairs)}
    return {
        "nodes": list(graph),
        "users": [user for user, _ in pairs],
        "sources": [source for _, source in pairs],
        "attributes": {name: list(column) for name, column in zip(names, columns, strict=True)},
        "backwards": [place[user, source] for source, users in vars(graph)["_pred"].items() for user in users],
    }


def _graph_put(graph: nx.DiGraph[Any], state: Mapping[str, Any]) -> None:
    graph.clear()
    graph.add_nodes_from(state["nodes"])
    names = list(state["attributes"])
    rows = zip(*state["attributes"].values(), strict=True) if names else ((),) * len(state["users"])
    for user, source, row in zip(state["users"], state["sources"], rows, strict=True):
        graph.add_edge(user, source, **dict(zip(names, row, strict=True)))
    for number in state["backwards"]:
        before = vars(graph)["_pred"][state["sources"][number]]
        user = state["users"][number]
        before[user] = before.pop(user)  # to the end, one after the other: in the old order at last


_KINDS: dict[type, Special] = {
    TableBuffer: Special(TableBuffer.state, TableBuffer.load_state),
    Simulation: Special(_simulation_taken, _simulation_put),
    Clock: Special(_clock_taken, _clock_put, late=2),
    ComputingCenter: Special(_center_taken, _center_put, late=1),
    nx.DiGraph: Special(_graph_taken, _graph_put),
}
