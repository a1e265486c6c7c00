"""A simulation that was put back goes on exactly as the one that was never interrupted, whatever is in it."""

from __future__ import annotations

import io
import json
import shutil
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
import torch
from kept_runs import all_of, built, cut_down, differences, everything, returned, tables
from market_runs import small

from agents.population import COLUMNS, Column, Population
from market.ledger import Ledger
from scenarios.checkpoints import capturing, kinds
from scenarios.checkpoints.capturing import Snapshot, capture
from scenarios.checkpoints.files import Checkpoint, read_checkpoint, read_columns, write_checkpoint
from scenarios.checkpoints.kinds import BadCheckpoint, Unkeepable
from scenarios.checkpoints.restoring import restore
from scenarios.checkpoints.saving import taken
from scenarios.engine.clock import Kind
from scenarios.engine.world import World
from scenarios.loading import library
from scenarios.schema import Scenario
from scenarios.simulation import Simulation
from scenarios.spreading import SpreadTrainer

MARKETS: dict[str, dict[str, Any]] = {
    "buffered": {"round": {"late": "buffer", "buffer_size": 4}, "population": {"types": {"link_time": 25.0}}},
    "buffered at centers": {
        "round": {"late": "buffer", "buffer_size": 3},
        "centers": {"count": 2, "slots": 1, "rate": 1.0},
    },
    "waiting at centers": {"round": {"late": "wait"}, "centers": {"count": 2, "slots": 1, "rate": 2.0}},
    "server moments": {"learning": {"server": {"name": "fedadam"}, "algorithm": {"name": "scaffold"}}},
    "levers": {
        "interventions": [
            {"round": 1, "set": {"enforcement.audit_rate": 0.9, "market.mechanism": "fixed_price"}},
            {"round": 1, "set": {"population.arrival_rate": 4.0, "population.adaptation": "epsilon_greedy"}},
            {"round": 2, "set": {"learning.learning_rate": 0.05, "population.participation": "strict"}},
            {"round": 2, "set": {"faults": [{"name": "client_crash", "rate": 0.4}], "round.invited": 9}},
        ]
    },
    "a regulator that chooses": {
        "learning": {"enabled": False},
        "enforcement": {
            "regulation": {
                "name": "bandit",
                "budget": 0.5,
                "harm": 1.0,
                "hold": 1,
                "options": [{"deposit": 1.0}, {"audit_policy": "reputation"}],
            }
        },
    },
    "generated": {
        "market": {"mechanism": "cocogen"},
        "learning": {"generation": {"generator": {"name": "vae", "steps": 3, "hidden": 8}}},
    },
}


def assert_it_goes_on_as_if_nothing_had_been(scenario: Scenario, folder: Path) -> Simulation:
    """Stop after every window, go on in a new simulation for one window, and compare all that there is.

    What goes on is equal after one window and so, by the same test, after all that follow.
    """
    original, kept = built(scenario), None
    while original.running:
        original.step()
        if kept is not None:
            resumed = returned(scenario, kept, folder / "kept")
            resumed.step()
            assert differences(everything(original), everything(resumed)) == [], f"window {original.steps}"
        kept = taken(original, tables(original))
        write_checkpoint(folder / "kept", Checkpoint({}, "", kept))
        kept = read_checkpoint(folder / "kept").snapshot
    resumed = returned(scenario, kept, folder / "kept")
    for simulation in (original, resumed):
        simulation.finish()
    assert differences(everything(original), everything(resumed)) == []
    return original


@pytest.mark.parametrize("name", sorted(library()))
def test_every_ready_made_scenario_goes_on_after_every_window(name: str, tmp_path: Path) -> None:
    assert_it_goes_on_as_if_nothing_had_been(cut_down(name), tmp_path)


@pytest.mark.parametrize("name", MARKETS)
def test_whatever_is_under_way_goes_on(name: str, tmp_path: Path) -> None:
    run = assert_it_goes_on_as_if_nothing_had_been(small(horizon=4, **MARKETS[name]), tmp_path)
    assert run.world.rounds_closed > 0


def test_a_break_finds_queues_at_centers_and_updates_under_way() -> None:
    """The markets above do hold what is hard to keep; else their tests would show little."""
    simulation = built(small(horizon=5, **MARKETS["buffered at centers"]))
    simulation.step()
    simulation.step()
    assert sum(len(center.queue()) for center in simulation.centers) > 0
    assert sum(len(center.running()) for center in simulation.centers) > 0
    assert len(simulation.world.flights) > 0
    assert len(list(simulation.world.clock.pending())) > 1


def test_waves_of_one_tick_and_kind_keep_their_order(tmp_path: Path) -> None:
    simulation = after_two_windows(learning={"enabled": False})
    for number in (3, 1, 2):
        simulation.world.clock.at(Kind.CLOSE, simulation.now + 5, ref=number)
    resumed = returned(simulation.scenario, taken(simulation, tables(simulation)), tmp_path / "kept")
    due = [wave.refs[0] for wave in resumed.world.clock.pending() if wave.ticks[0] == simulation.now + 5]
    assert due == [3, 1, 2]


# -- completeness: new state is kept without a word, or refused by name ----------------------------------------------


def after_two_windows(**change: Any) -> Simulation:
    simulation = built(small(horizon=4, **change))
    simulation.step()
    simulation.step()
    return simulation


def test_state_that_nobody_has_heard_of_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COLUMNS, "mood", Column("f8", 0.5, "a column of tomorrow"))
    simulation = after_two_windows()
    simulation.population.mood[:3] = (0.1, 0.2, 0.3)
    simulation.world.tomorrow = {"seen": {4, 2}, "last": [np.float32(0.1), (1, None)], 7: torch.arange(3.0)}
    simulation.world.mechanism.__dict__["memory"] = [1.5] * 40
    simulation.graph.trust = nx.DiGraph([(2, 1, {"weight": 0.5}), (1, 3, {"weight": 0.25})])
    resumed = returned(simulation.scenario, taken(simulation, tables(simulation)), tmp_path / "kept")
    assert resumed.population.mood[:3].tolist() == [0.1, 0.2, 0.3]
    assert resumed.world.tomorrow["last"] == [np.float32(0.1), (1, None)]
    assert list(resumed.graph.trust.edges(data="weight")) == [(2, 1, 0.5), (1, 3, 0.25)]
    assert differences(everything(simulation), everything(resumed)) == []


@pytest.mark.parametrize(
    "hidden",
    [np.random.default_rng(1), iter([1, 2]), np.array([object()]), open],
    ids=["generator of random numbers", "position in a sequence", "column of objects", "function"],
)
def test_state_that_cannot_be_kept_is_refused_by_name(hidden: object, tmp_path: Path) -> None:
    simulation = after_two_windows(learning={"enabled": False})
    simulation.world.tally.hidden = hidden
    with pytest.raises((Unkeepable, BadCheckpoint), match=r"hidden|open"):
        returned(simulation.scenario, taken(simulation, tables(simulation)), tmp_path / "kept")


def test_state_hidden_in_what_is_built_again_is_seen_by_the_comparison(tmp_path: Path) -> None:
    """If somebody made the data sets or a closure remember something, the tests above would fail."""
    simulation = after_two_windows()
    kept = taken(simulation, tables(simulation))
    resumed = returned(simulation.scenario, kept, tmp_path / "kept")
    assert differences(everything(simulation), everything(resumed)) == []
    simulation.world.federation.shards.quality[0] += 0.1
    assert differences(everything(simulation), everything(resumed)) != []


def test_every_field_of_the_world_comes_back(tmp_path: Path) -> None:
    simulation = after_two_windows()
    resumed = returned(simulation.scenario, taken(simulation, tables(simulation)), tmp_path / "kept")
    for name in World.__dataclass_fields__:
        one, other = (all_of([getattr(run.world, name)]) for run in (simulation, resumed))
        assert differences(one, other) == [], name


@pytest.mark.parametrize(("kind", "name"), [(Population, "_store"), (Ledger, "_balance")])
def test_what_checkpoints_leave_out_by_mistake_is_seen_by_the_comparison(
    kind: type, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(kinds.AS_BUILT_ATTRIBUTES, kind, frozenset({name}))
    simulation = after_two_windows(learning={"enabled": False})
    resumed = returned(simulation.scenario, taken(simulation, tables(simulation)), tmp_path / "kept")
    assert differences(everything(simulation), everything(resumed)) != []
    monkeypatch.setattr(capturing, "AS_BUILT", (*kinds.AS_BUILT, kind))
    with pytest.raises(AssertionError, match=f"{kind.__name__} is left out"):
        everything(simulation)


def test_what_looked_at_the_same_memory_does_so_again(tmp_path: Path) -> None:
    whole, weights = np.arange(6.0), torch.zeros(4)
    state = {"whole": whole, "part": whole[2:5], "twice": [whole, whole], "all": weights, "some": weights[1:3]}
    write_checkpoint(tmp_path / "kept", Checkpoint({}, "", capture(state)))
    found: dict[str, Any] = {}
    restore(read_checkpoint(tmp_path / "kept").snapshot, found)
    found["part"][0] = -1.0
    found["some"][0] = 9.0
    assert found["whole"].tolist() == [0.0, 1.0, -1.0, 3.0, 4.0, 5.0]
    assert found["twice"][0] is found["whole"]
    assert found["all"].tolist() == [0.0, 9.0, 0.0, 0.0]


# -- files that nobody vouches for -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scenario, Path]:
    simulation = after_two_windows()
    place = tmp_path_factory.mktemp("whole") / "kept"
    write_checkpoint(place, Checkpoint({"window": 2}, "name: small\n", taken(simulation, tables(simulation))))
    return simulation.scenario, place


@pytest.mark.parametrize("name", ["manifest.json", "scenario.yaml", "state.json", "columns.npz", "tensors.safetensors"])
def test_one_wrong_byte_is_found(name: str, whole: tuple[Scenario, Path], tmp_path: Path) -> None:
    place = Path(shutil.copytree(whole[1], tmp_path / "kept"))
    content = bytearray((place / name).read_bytes())
    content[len(content) // 2] ^= 1
    (place / name).write_bytes(content)
    with pytest.raises(BadCheckpoint, match=r"checksum|JSON"):
        read_checkpoint(place)


@pytest.mark.parametrize("name", ["manifest.json", "state.json", "tensors.safetensors"])
def test_a_file_that_is_missing_or_cut_off_is_found(name: str, whole: tuple[Scenario, Path], tmp_path: Path) -> None:
    place = Path(shutil.copytree(whole[1], tmp_path / "kept"))
    content = (place / name).read_bytes()
    (place / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(BadCheckpoint):
        read_checkpoint(place)
    (place / name).unlink()
    with pytest.raises(BadCheckpoint, match=f"{name} is missing"):
        read_checkpoint(place)


def forged(change: Callable[[Snapshot], None], folder: Path) -> Snapshot:
    """A checkpoint with right checksums and wrong content, read back."""
    snapshot = capture({"simulation": after_two_windows(learning={"enabled": False})})
    change(snapshot)
    write_checkpoint(folder / "forged", Checkpoint({}, "", snapshot))
    return read_checkpoint(folder / "forged").snapshot


@pytest.mark.parametrize("place", ["scenario", "columns", "tensors", "manifest"])
def test_a_write_that_breaks_off_leaves_nothing_under_the_name(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever of it is on the disk already: the name appears with the last step."""
    from scenarios.checkpoints import files

    written: list[str] = []
    safe = files._safe

    def breaks_off(path: Path) -> dict[str, Any]:
        written.append(path.stem)
        assert not (tmp_path / "kept").exists()
        if path.stem == place:
            raise KeyboardInterrupt
        return safe(path)

    monkeypatch.setattr(files, "_safe", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(tmp_path / "kept", Checkpoint({}, "", capture({"a": np.zeros(3)})))
    assert written[-1] == place
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_no_room_for_models_is_told_as_no_room_for_anything_else(tmp_path: Path) -> None:
    """Models are the largest file of most checkpoints, and the library that writes them has errors of its own."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))  # beyond it a write fails, as on a full disk
    try:
        with pytest.raises(OSError, match="File too large"):
            write_checkpoint(tmp_path / "kept", Checkpoint({}, "", capture({"model": torch.zeros(100_000)})))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


class Trap:
    """What a pickle would run when it is read."""

    sprung = False

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[object, ...]]:
        return setattr, (Trap, "sprung", True)


def test_columns_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """The directory of an archive may name the same column a thousand times."""
    path = tmp_path / "columns.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("one.npy", npy(np.arange(1000)))
    assert list(read_columns(path)) == ["one"]
    with zipfile.ZipFile(path, "a") as archive:
        archive.filelist.append(archive.filelist[0])
        archive._didModify = True  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="columns share their bytes"):
        read_columns(path)


def npy(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, values)
    return file.getvalue()


def test_objects_in_columns_are_never_unpickled(tmp_path: Path) -> None:
    snapshot = capture({"a": np.zeros(3)})
    place = tmp_path / "kept"
    write_checkpoint(place, Checkpoint({}, "", snapshot))
    np.savez(place / "columns.npz", c0=np.array([Trap()], dtype=object), allow_pickle=True)
    manifest = json.loads((place / "manifest.json").read_text())
    from scenarios.checkpoints import files

    manifest["files"]["columns.npz"] = files._sum(place / "columns.npz")
    manifest["sha256"] = files._digest(manifest)
    (place / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BadCheckpoint, match="cannot be read"):
        read_checkpoint(place)
    assert not Trap.sprung


@pytest.mark.parametrize(
    "name",
    ["builtins:eval", "os:system", "subprocess:Popen", "scenarios.cli:main", "scenarios.__main__:x", "nowhere:x"],
)
def test_a_checkpoint_cannot_name_a_class_that_is_no_state(name: str, tmp_path: Path) -> None:
    snapshot = capture({"a": 1})
    snapshot.tree = ["object", 0, name, [["args", "echo"]]]
    write_checkpoint(tmp_path / "kept", Checkpoint({}, "", snapshot))
    with pytest.raises(BadCheckpoint, match="no kind of state"):
        restore(read_checkpoint(tmp_path / "kept").snapshot, {})


@pytest.mark.parametrize(
    "node",
    [
        ["restore", 0],
        ["__init__", 0],
        ["column", "nothing"],
        ["same", 99],
        ["built", "eval"],
        ["dict", 0],
        ["special", 0, "scenarios.simulation:Simulation", None],
        ["enum", "agents.population:Status", 77],
        [[]],
        [],
    ],
)
def test_nodes_that_make_no_sense_are_refused(node: Any, tmp_path: Path) -> None:
    snapshot = capture({"a": 1})
    snapshot.tree = ["dict", 0, [["a", node]]]
    write_checkpoint(tmp_path / "kept", Checkpoint({}, "", snapshot))
    with pytest.raises(BadCheckpoint):
        restore(read_checkpoint(tmp_path / "kept").snapshot, {})


def test_a_look_beyond_its_block_is_refused(tmp_path: Path) -> None:
    whole = np.arange(6.0)
    for offset, shape in ((40, [2]), (0, [7]), (-8, [2])):
        snapshot = capture({"whole": whole, "part": whole[2:5]})
        key = next(name for name, look in snapshot.looks.items() if look[2] == [3])
        snapshot.looks[key][1:3] = [offset, shape]
        write_checkpoint(tmp_path / "kept", Checkpoint({}, "", snapshot))
        with pytest.raises(BadCheckpoint):
            restore(read_checkpoint(tmp_path / "kept").snapshot, {})


def test_a_checkpoint_of_another_scenario_is_refused(whole: tuple[Scenario, Path]) -> None:
    other = built(small(horizon=4, learning={"enabled": False}))
    snapshot = read_checkpoint(whole[1]).snapshot
    with pytest.raises(BadCheckpoint):
        restore(snapshot, {"simulation": other, "buffers": tables(other)})


def test_a_file_larger_than_its_limit_is_not_read(
    whole: tuple[Scenario, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scenarios.checkpoints import files

    monkeypatch.setitem(files.LIMITS, "state.json", 100)
    with pytest.raises(BadCheckpoint, match=r"state\.json is larger than 100 bytes"):
        read_checkpoint(whole[1])


def test_who_trains_is_no_state_of_the_market() -> None:
    """A cluster's workers stay where they are; whoever goes on says anew who is to train."""
    simulation = Simulation(scenario=small(), device="cpu")
    assert simulation.world.training is not None
    before = taken(simulation, {}).tree
    simulation.world.training.train_with(SpreadTrainer([threading.Lock()]))  # no more keepable than a worker
    assert taken(simulation, {}).tree == before
