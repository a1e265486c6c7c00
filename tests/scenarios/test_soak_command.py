"""``datagora soak``: draws, shrinks, reads spoiled files, tells what it did, and ends as it should."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from kept_runs import PROCESSES

import scenarios.soak.command as command
from scenarios.cli import main
from scenarios.loading import load_scenario
from scenarios.soak.dice import Dice
from scenarios.soak.files import INSTANCES, spoiled_file, try_file
from scenarios.soak.markets import left_out_of, random_market, random_scenario
from scenarios.soak.parameters import entry_of
from scenarios.soak.report import _KINDS, Failure, Outcome, Tally, names_in
from scenarios.soak.shrinking import places, shrunk, without
from scenarios.soak.spoiling import spoiled
from scenarios.soak.trial import Verdict, try_market
from scenarios.soak.work import limit_processor_time
from scenarios.yaml_text import write_yaml

FEW = range(6)


@pytest.fixture(autouse=True)
def quick_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that start with everything imported."""
    monkeypatch.setattr(command, "_PROCESSES", PROCESSES)


def test_a_number_gives_the_same_market_again_and_another_one_another() -> None:
    assert random_market(5, 0) == random_market(5, 0)
    assert random_scenario(5, 0) != random_scenario(5, 1)


def test_random_markets_are_of_many_kinds_and_small() -> None:
    drawn = [random_market(5, number) for number in FEW]
    met = sum((names_in(market.content) for market in drawn), Counter())
    assert len([name for name in met if name.startswith("mechanism ")]) >= 3
    assert len([name for name in met if name.startswith("strategies ")]) >= 6
    assert all(market.scenario.population.initial <= 12 and market.scenario.horizon <= 5 for market in drawn)


def test_a_random_market_is_a_scenario_file(tmp_path: Path) -> None:
    market = random_market(5, 1)
    file = tmp_path / "market.yaml"
    file.write_text(write_yaml(market.content))
    assert load_scenario(file) == market.scenario


@pytest.mark.parametrize("number", [0, 1, 2])
def test_random_markets_keep_every_law(number: int) -> None:
    verdict = try_market(random_scenario(11, number), again=False, broken_off_after=1)
    assert (verdict.broken, verdict.said) == ("", "")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::learning.privacy.mechanisms.NoiseTooSmall")
@pytest.mark.parametrize("number", range(300))
def test_many_random_markets_keep_every_law(number: int) -> None:
    scenario = random_scenario(12, number)
    verdict = try_market(scenario, broken_off_after=Dice(12, number).whole(1, scenario.horizon))
    assert (verdict.broken, verdict.said) == ("", "")


def test_parameters_are_found_for_every_entry_of_every_registry_but_those_that_need_a_table() -> None:
    never = []
    for key, registry in set(_KINDS.items()) - {("with", _KINDS["with"])}:
        for name in registry():
            try:
                entry_of(Dice(1), registry(), name, {"duration": 5.0} if key == "faults" else None)
            except ValueError:
                never.append(name)
    assert sorted(never) == ["table", "trace"], "give a rule to what is new in scenarios.soak.parameters.RULES"


def test_what_is_wrong_is_left_out_with_the_whole_of_what_is_named() -> None:
    content: dict[str, Any] = {"faults": [{"name": "a"}, {"name": "b", "rate": 2}], "seed": 1}
    assert left_out_of(content, "faults.1.rate")
    assert content["faults"] == [{"name": "a"}, {"name": "b"}]
    assert left_out_of(content, "faults.1.name")
    assert content["faults"] == [{"name": "a"}]
    assert not left_out_of(content, "nothing.there")


def test_a_failure_shrinks_to_what_it_needs() -> None:
    content = {"name": "x", "a": {"b": 1, "c": {"d": 2, "e": 3}}, "f": [{"name": "g"}, {"name": "h", "i": 4}], "j": 5}

    def fails(part: dict[str, Any]) -> bool:
        return "d" in part.get("a", {}).get("c", {}) and any(one["name"] == "h" for one in part.get("f", ()))

    assert shrunk(content, fails) == {"name": "x", "a": {"c": {"d": 2}}, "f": [{"name": "h"}]}


def test_places_come_from_above_to_below_and_removal_leaves_the_rest_alone() -> None:
    content = {"a": {"b": 1}, "c": [1, 2]}
    assert list(places(content)) == [("c",), ("a",), ("a", "b"), ("c", 1), ("c", 0)]
    assert without(content, ("c", 0)) == {"a": {"b": 1}, "c": [2]}
    assert without(content, ("c", 7)) is None
    assert content == {"a": {"b": 1}, "c": [1, 2]}


@pytest.mark.parametrize("block", range(5))
def test_spoiled_files_are_taken_or_refused_in_one_line(block: int) -> None:
    for number in range(8 * block, 8 * block + 8):
        file = spoiled_file(3, number)
        verdict = try_file(file)
        assert not verdict.broken, f"{verdict.said}\n{file.raw[:2000]!r}"


def test_the_instances_that_are_spoiled_are_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from scenarios.soak.spoiling import as_json

    for name, instance in INSTANCES.items():
        file = tmp_path / f"{name}.json"
        file.write_bytes(as_json(instance))
        assert main(["solve", name, str(file)]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("kind", ["scenario", "study", "trace"])
def test_the_files_that_are_spoiled_are_good(kind: str, tmp_path: Path) -> None:
    """What is refused is refused for what was done to it."""
    from scenarios.soak import files
    from scenarios.soak.spoiling import as_yaml

    contents = {"scenario": files._scenarios, "study": files._studies, "trace": lambda: [files.TRACE]}[kind]()
    suffix = ".csv" if kind == "trace" else ".yaml"
    for content in contents[::4]:
        raw = content.encode() if isinstance(content, str) else as_yaml(content)
        verdict = try_file(files.SpoiledFile(kind, suffix, raw))
        assert dict(verdict.seen) == {f"event {kind} taken": 1}, (verdict, raw[:300])


def test_half_of_the_files_keep_their_shape_so_that_many_get_beyond_the_types() -> None:
    content = {"a": [1, 2.5, {"b": 3}], "c": "text", "d": {"e": 4, "f": True}}
    shifted = [
        found for found in (spoiled(Dice(2, number), content) for number in range(60)) if same_shape(found, content)
    ]
    assert len(shifted) > 20
    assert any(found != content for found in shifted)


def same_shape(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_shape(one[key], other[key]) for key in one)
    return type(one) is type(other) and (not isinstance(one, list) or len(one) == len(other))


def test_spoiling_leaves_the_content_itself_alone() -> None:
    content = {"a": [1, {"b": 2}]}
    assert any(spoiled(Dice(1, number), content) != content for number in range(5))
    assert content == {"a": [1, {"b": 2}]}


def test_a_command_that_fails_on_a_file_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def two_lines(arguments: list[str]) -> int:
        import sys

        sys.stderr.write("one\ntwo\n")
        return 2

    monkeypatch.setattr("scenarios.cli.main", two_lines)
    file = next(file for file in map(lambda number: spoiled_file(3, number), range(99)) if file.kind == "ipfl")
    assert try_file(file).broken == "one_line"

    def crash(arguments: list[str]) -> int:
        raise KeyError("nothing")

    monkeypatch.setattr("scenarios.cli.main", crash)
    assert try_file(file).broken == "no_crash"


# ---- the command ----------------------------------------------------------


def lazy(channel: Any, seed: int, first: int, step: int, files: bool) -> None:
    """A worker that begins and never ends."""
    channel.send(("started", first))
    time.sleep(600)


def busy(channel: Any, seed: int, first: int, step: int, files: bool) -> None:
    """A worker that begins and works without end."""
    channel.send(("started", first))
    limit_processor_time(0.2)
    while True:
        pass


def careless(channel: Any, seed: int, first: int, step: int, files: bool) -> None:
    """A worker that says that a law was broken."""
    channel.send(("started", first))
    channel.send(("done", Outcome(first, Verdict("books_close", "1 micro-unit"), content={"horizon": 2, "seed": 4})))
    time.sleep(600)


def thorough(channel: Any, seed: int, first: int, step: int, files: bool) -> None:
    """A worker that says that a law was broken, and makes the market small for long."""
    channel.send(("started", first))
    channel.send(("found", Outcome(first, Verdict("books_close", "1 micro-unit"), content={"horizon": 2, "seed": 4})))
    time.sleep(600)


def mortal(channel: Any, seed: int, first: int, step: int, files: bool) -> None:
    """A worker whose process ends."""
    import os

    channel.send(("started", first))
    os._exit(7)


def test_a_broken_law_ends_in_a_scenario_file_a_line_and_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "work", careless)
    assert main(["soak", "--minutes", "3", "--most", "1", "--out", str(tmp_path / "failed")]) == 1
    file = tmp_path / "failed" / "soak-1-0.yaml"
    assert load_scenario(file).horizon == 2
    assert file.with_suffix(".txt").read_text() == "books_close: 1 micro-unit\n"
    assert "failures: 1\n  books_close: 1" in capsys.readouterr().out


def test_a_broken_law_is_told_of_even_if_the_soak_ends_before_its_market_is_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listen = command._heard

    def ended_early(worker: Any) -> Outcome | None:
        outcome = listen(worker)
        if worker.found is not None and worker.process.is_alive():
            raise KeyboardInterrupt
        return outcome

    monkeypatch.setattr(command, "work", thorough)
    monkeypatch.setattr(command, "_heard", ended_early)
    assert main(["soak", "--minutes", "5", "--out", str(tmp_path / "failed")]) == 1
    assert load_scenario(tmp_path / "failed" / "soak-1-0.yaml").horizon == 2
    assert "failures: 1\n  books_close: 1" in capsys.readouterr().out


def test_a_market_that_breaks_a_law_is_told_of_before_it_is_made_small(monkeypatch: pytest.MonkeyPatch) -> None:
    from scenarios.soak import work

    broken = Outcome(7, Verdict("books_close", "1 micro-unit"), content={"horizon": 3})
    monkeypatch.setattr(work, "market", lambda seed, number: broken)
    monkeypatch.setattr(work, "made_small", lambda content, law: {"horizon": 1})
    said: list[tuple[str, Any]] = []

    class Channel:
        def send(self, message: tuple[str, Any]) -> None:
            said.append((message[0], message[1] if message[0] == work.STARTED else dict(message[1].content)))
            if message[0] == work.DONE:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work.work(Channel(), 1, 7, 1, False)  # type: ignore[arg-type]
    assert said == [("started", 7), ("found", {"horizon": 3}), ("done", {"horizon": 1})]


SMALL = {"horizon": 2, "population": {"initial": 3}, "learning": {"enabled": False}}


def test_one_scenario_can_be_tried_with_every_law(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from scenarios.soak import trial

    file = tmp_path / "small.yaml"
    file.write_text(write_yaml(SMALL))
    assert main(["soak", str(file)]) == 0
    assert f"{file}: every law holds in 2 rounds" in capsys.readouterr().out

    go_on = trial.broken_off

    def forgetful(scenario: Any, windows: int) -> Any:
        """Goes on from the second checkpoint as another market."""
        return go_on(scenario.model_copy(update={"seed": 5}) if windows == 2 else scenario, windows)

    monkeypatch.setattr(trial, "broken_off", forgetful)
    assert main(["soak", str(file)]) == 1
    said = capsys.readouterr().out
    assert f"{file}: resume: other bytes in " in said
    assert said.endswith("when broken off after window 2\n")
    assert main(["soak", str(tmp_path / "none.yaml")]) == 2


@pytest.mark.parametrize("option", [["--out", "x"], ["--most", "2"], ["--seed", "1"], ["--files"], ["-q"]])
def test_options_about_random_markets_are_refused_for_one_scenario(
    option: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(write_yaml(SMALL))
    assert main(["soak", str(file), *option]) == 2
    printed, said = capsys.readouterr()
    assert printed == ""
    assert said.endswith("small.yaml: this is about random markets, a scenario file is played as it is\n")
    assert said.startswith("--quiet: " if option == ["-q"] else f"{option[0]}: ")


@pytest.mark.parametrize(
    ("worker", "standstill", "law"),
    [(lazy, 0.0, "no_hang"), (busy, 3600.0, "no_hang"), (mortal, 3600.0, "no_crash")],
    ids=["stands still", "works on and on", "dies"],
)
def test_a_market_that_hangs_or_kills_its_process_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, worker: Any, standstill: float, law: str
) -> None:
    monkeypatch.setattr(command, "work", worker)
    monkeypatch.setattr(command, "STANDSTILL", standstill)
    told: list[Outcome] = []
    monkeypatch.setattr(command, "_kept", lambda folder, name, outcome, *rest: told.append(outcome) or folder / name)
    assert command.soak(3.0, most=1, out=tmp_path, quiet=True) == 1
    assert told[0].verdict.broken == law


def test_a_clean_soak_tells_what_it_met_and_exits_with_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed = tmp_path / "failed"
    assert main(["soak", "--minutes", "5", "--most", "2", "--seed", "11", "--out", str(failed)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("2 markets in ")
    assert "failures: 0" in said
    assert "mechanism: " in said
    assert not failed.exists()


def test_a_time_that_is_none_gets_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["soak", "--minutes", "0"]) == 2
    assert capsys.readouterr().err == "--minutes: 0.0: expected a number of minutes above 0\n"


def test_the_summary_counts() -> None:
    tally = Tally()
    tally.add(Outcome(0, Verdict(rounds=2, events=30, transfers=4, seen=Counter(["exit broke"])), peak_kib=2048))
    tally.add(Outcome(1, Verdict(refused="too few samples"), Counter(["mechanism free"])))
    tally.failures.append(Failure("soak-1-2", "replay", "other bytes in events", "soak-1-2.yaml"))
    text = tally.text("markets")
    assert "2 markets" in text
    assert "rounds 2, events 30, transfers 4" in text
    assert "mechanism: free 1" in text
    assert "markets with exit: broke 1" in text
    assert "refused with one line: 1\n  1 x too few samples" in text
    assert "soak-1-2.yaml: replay: other bytes in events" in text
