"""A scenario file is read strictly, and whatever is wrong with it is said in one line."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.errors import BadInput, shown
from scenarios.loading import LIBRARY, check_scenario, library, load_scenario, resolved_yaml
from scenarios.schema import Scenario
from scenarios.yaml_text import MAX_BYTES


@pytest.fixture
def written(tmp_path: Path):
    """Writes a scenario file and returns its path."""

    def write(text: str, name: str = "market.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


def line_about(path, **options) -> str:
    """The one line that loading ends with."""
    with pytest.raises(BadInput) as caught:
        load_scenario(path, **options)
    line = str(caught.value)
    assert "\n" not in line
    return line


# ---- what can be loaded -------------------------------------------------------------------------------------------


def test_a_file_gives_the_scenario_it_describes(written):
    scenario = load_scenario(written("seed: 7\nmarket: {budget: 3, mechanism: fixed_price}\n"))
    assert scenario.seed == 7
    assert scenario.market.budget == 3
    assert scenario.market.mechanism.name == "fixed_price"


def test_a_scenario_without_a_name_is_called_like_its_file(written):
    assert load_scenario(written("seed: 1", name="Two Cities!.yaml")).name == "two-cities"


@pytest.mark.parametrize("name", sorted(path.stem for path in LIBRARY.glob("*.yaml")))
def test_every_ready_made_scenario_loads_and_introduces_itself(name):
    scenario = load_scenario(name)
    title, description = library()[name]
    assert scenario.name == name
    assert title
    assert description


def test_the_resolved_text_loads_to_an_equal_scenario(written):
    text = """
    title: "yes: a title # with signs"
    description: "two\\nlines"
    population:
      strategies: [honest, {name: honest, share: 1e-3}]
      arrival_times: [1, 2.5]
      types: {cost: 0.02, wealth: {kind: uniform, low: 1, high: 2}}
    data: {quality: {kind: beta, a: 2.0, b: 5.0}}
    """
    scenario = load_scenario(written(text))
    again = load_scenario(written(resolved_yaml(scenario), name="resolved.yaml"))
    assert again == scenario
    assert resolved_yaml(again) == resolved_yaml(scenario)


def test_a_data_file_is_found_beside_the_scenario_file(written, tmp_path):
    np.savez(tmp_path / "own.npz", x_train=np.zeros(1))
    scenario = load_scenario(written("data: {dataset: own.npz}"))
    assert scenario.data.dataset == str(tmp_path / "own.npz")


def test_a_trace_of_arrivals_is_found_beside_the_scenario_file(written, tmp_path):
    (tmp_path / "visits.csv").write_text("arrive\n30\n")
    process = "{name: trace, file: visits.csv}"
    (chosen,) = load_scenario(written(f"population: {{arrivals: [{process}]}}")).population.arrivals
    assert chosen.params["file"] == str(tmp_path / "visits.csv")


def test_a_number_in_place_of_a_list_is_said_so(written):
    with pytest.raises(BadInput, match=r"arrivals\.0\.times: 3: expected a list"):
        load_scenario(written("population: {arrivals: [{name: cohorts, times: 3, sizes: [2]}]}"))


# ---- changes from the command line --------------------------------------------------------------------------------


def test_set_changes_one_value_and_leaves_the_others(written):
    path = written("enforcement: {deposit: 2, audit_rate: 0.1}")
    scenario = load_scenario(path, overrides=["enforcement.audit_rate=0.5"])
    assert (scenario.enforcement.deposit, scenario.enforcement.audit_rate) == (2, 0.5)


def test_set_reaches_what_the_file_leaves_out(written):
    scenario = load_scenario(written("seed: 1"), overrides=["data.partition.alpha=0.05", "population.initial=3"])
    assert scenario.data.partition.params["alpha"] == 0.05
    assert scenario.data.partition.name == "dirichlet"
    assert scenario.population.initial == 3


def test_an_empty_file_is_a_scenario_too(written):
    assert load_scenario(written("")).model_dump(exclude={"name"}) == Scenario().model_dump(exclude={"name"})


def test_the_resolved_scenario_keeps_every_parameter_of_what_it_names(written):
    scenario = load_scenario(written("{population: {strategies: [free_rider_noise]}, market: {mechanism: shapley}}"))
    assert "permutations: 20" in resolved_yaml(scenario)
    assert "claim_factor: 1.0" in resolved_yaml(scenario)


def test_set_counts_list_places_from_zero(written):
    path = written("population: {strategies: [{name: honest}, {name: honest, share: 2}]}")
    scenario = load_scenario(path, overrides=["population.strategies.1.share=5"])
    assert [part.share for part in scenario.population.strategies] == [1, 5]


def test_set_opens_a_bare_name(written):
    path = written("data: {partition: dirichlet}")
    assert load_scenario(path, overrides=["data.partition.alpha=3"]).data.partition.params["alpha"] == 3


def test_set_does_not_touch_another_place_that_shares_an_alias(written):
    path = written("population: {strategies: [&one {name: honest, share: 1}, *one]}")
    scenario = load_scenario(path, overrides=["population.strategies.0.share=4"])
    assert [part.share for part in scenario.population.strategies] == [4, 1]


def test_later_changes_win_and_the_seed_option_wins_over_the_file(written):
    scenario = load_scenario(written("seed: 1"), overrides=["horizon=5", "horizon=6"], seed=9)
    assert (scenario.horizon, scenario.seed) == (6, 9)


# ---- what is refused, and how -------------------------------------------------------------------------------------

wrong_contents = {
    "unknown key at the top": ("sede: 3", "sede: 3: unknown key, did you mean 'seed'?"),
    "unknown key below": (
        "enforcement: {audit_rat: 0.1}",
        "enforcement.audit_rat: 0.1: unknown key, did you mean 'audit_rate'?",
    ),
    "unknown key in a list": (
        "population: {types: {const: 1}}",
        "population.types.const: 1: unknown key, did you mean 'cost'?",
    ),
    "wrong type": ("horizon: many", "horizon: many: expected a whole number"),
    "half a window": ("horizon: 2.5", "horizon: 2.5: expected a whole number"),
    "number as text": ("window: '60'", "window: 60: expected a number"),
    "truth as number": ("learning: {enabled: 1}", "learning.enabled: 1: expected true or false"),
    "text as mapping": ("market: rich", "market: rich: expected a mapping of keys to values"),
    "mapping as list": ("population: {strategies: honest}", "population.strategies: honest: expected a list"),
    "negative cost": (
        "population: {types: {cost: -1}}",
        "population.types.cost: -1: cost can be -1, expected finite numbers at least 0 and at most 1e+06",
    ),
    "no strategies": ("population: {strategies: []}", "population.strategies: []: expected at least 1 in the list"),
    "a null": ("horizon:", "horizon: null: expected a whole number"),
    "infinity": ("window: .inf", "window: .inf: expected a finite number"),
    "negative money": ("market: {budget: -1}", "market.budget: -1: expected a number at least 0 and at most 1000000.0"),
    "a window of no length": ("window: 0", "window: 0: expected a number at least 0.001 and at most 1000000.0"),
    "zero owners": (
        "population: {initial: 0}",
        "population.initial: 0: expected a whole number at least 1 and at most 10000000",
    ),
    "probability above 1": (
        "enforcement: {audit_rate: 1.5}",
        "enforcement.audit_rate: 1.5: expected a probability between 0 and 1",
    ),
    "probability below 0": (
        "enforcement: {audit_rate: -0.5}",
        "enforcement.audit_rate: -0.5: expected a probability between 0 and 1",
    ),
    "seed too large": (
        "seed: 9223372036854775808",
        "seed: 9223372036854775808: expected a whole number at least 0 and below 9223372036854775808",
    ),
    "unknown choice": (
        "round: {late: dorp}",
        "round.late: dorp: expected 'drop', 'wait' or 'buffer', did you mean 'drop'?",
    ),
    "unknown mechanism": (
        "market: {mechanism: proportionl}",
        "market.mechanism: proportionl: unknown mechanism 'proportionl', did you mean 'proportional'?",
    ),
    "unknown strategy": (
        "population: {strategies: [honest, {name: honets, share: 2}]}",
        "population.strategies.1.name: honets: unknown strategy 'honets', did you mean 'honest'?",
    ),
    "unknown distribution": (
        "population: {types: {cost: {kind: unifrom, low: 0, high: 1}}}",
        "population.types.cost.kind: unifrom: unknown distribution 'unifrom', did you mean 'uniform'?",
    ),
    "unknown partition": (
        "data: {partition: dirichelt}",
        "data.partition: dirichelt: unknown partition 'dirichelt', did you mean 'dirichlet'?",
    ),
    "unknown data set": (
        "data: {dataset: digit}",
        "data.dataset: digit: unknown data set 'digit', did you mean 'digits'?",
    ),
    "unknown model": (
        "learning: {model: sofmax}",
        "learning.model: sofmax: unknown model 'sofmax', did you mean 'softmax'?",
    ),
    "unknown parameter": (
        "data: {partition: {name: dirichlet, aplha: 1}}",
        "data.partition.aplha: 1: unknown parameter 'aplha', did you mean 'alpha'?",
    ),
    "parameter of the wrong type": (
        "data: {partition: {name: dirichlet, alpha: high}}",
        "data.partition.alpha: high: expected a valid number",
    ),
    "deadlines longer than the window": (
        "round: {train_deadline: 500}",
        "round.train_deadline: 500.0: report_deadline + train_deadline must be below the window of 60 s",
    ),
    "contributions without training": (
        "{learning: {enabled: false}, market: {mechanism: shapley}}",
        "market.mechanism: shapley: this mechanism measures what is trained, so learning must be enabled",
    ),
    "name with a path in it": ("name: ../up", "name: ../up: expected text that matches ^[a-z0-9][a-z0-9_-]*$"),
}


@pytest.mark.parametrize(("text", "tail"), wrong_contents.values(), ids=wrong_contents)
def test_a_wrong_value_is_named_with_file_field_and_what_belongs_there(written, text, tail):
    path = written(text)
    assert line_about(path) == f"{path}: {tail}"


def test_an_unknown_key_is_blamed_before_what_it_explains(written):
    path = written("horizon: -1\nmarkt: {}\n")
    assert line_about(path) == f"{path}: markt: {{}}: unknown key, did you mean 'market'?"


wrong_files = {
    "not YAML": ("market: {budget: 3", "line 1: not valid YAML (expected ',' or '}', but got '<stream end>')"),
    "a key given twice": ("seed: 1\nhorizon: 3\nseed: 2\n", "line 3: the key 'seed' is given twice"),
    "a key that is no text": ("3: 4", "line 1: a key must be text"),
    "a list at the top": ("- seed: 1", "[{seed: 1}]: expected a mapping of keys to values"),
    "a Python object": ("seed: !!python/object/apply:os.getpid []", "line 1: not valid YAML (could not determine a"),
    "deep nesting": ("a: " + "[" * 5000, "nested too deeply"),
    "a value that contains itself": ("a: &a [*a]", "more than 100,000 values"),
}


@pytest.mark.parametrize(("text", "tail"), wrong_files.values(), ids=wrong_files)
def test_a_file_that_is_no_scenario_is_refused_with_its_line(written, text, tail):
    path = written(text)
    assert line_about(path).startswith(f"{path}: {tail}")


def test_aliases_cannot_make_a_small_file_huge(written):
    levels = ["a0: &a0 [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "more than 100,000 values" in line_about(written("\n".join(levels)))


def test_a_huge_file_is_refused_unread(written):
    assert f"more than {MAX_BYTES:,} bytes" in line_about(written("#" * (MAX_BYTES + 1)))


def test_a_file_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes("title: Café".encode("latin-1"))
    assert line_about(path) == f"{path}: expected text in UTF-8"


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert line_about(tmp_path / "none.yaml") == f"{tmp_path / 'none.yaml'}: no such file"
    assert line_about(tmp_path) == f"{tmp_path}: cannot be read (Is a directory)"


def test_an_unknown_ready_made_name_suggests_the_nearest():
    nearest = sorted(library())[0]
    line = line_about(nearest[:-1])
    assert line == f"SCENARIO: {nearest[:-1]}: no such file or ready-made scenario, did you mean '{nearest}'?"


wrong_changes = {
    "no value": ("horizon", "--set: horizon: expected path.to.key=value"),
    "no path": ("=3", "--set: '=3': expected path.to.key=value"),
    "an empty step": ("market..budget=3", "--set: market..budget=3: expected path.to.key=value"),
    "an unknown key": ("markte.budget=3", "--set: markte: {budget: 3}: unknown key, did you mean 'market'?"),
    "an unknown key below": ("market.bugdet=3", "--set: market.bugdet: 3: unknown key, did you mean 'budget'?"),
    "a wrong value": (
        "market.budget=-3",
        "--set: market.budget: -3: expected a number at least 0 and at most 1000000.0",
    ),
    "below a number": ("horizon.x=3", "--set: horizon.x: 3: expected no path below horizon"),
    "beyond a list": (
        "population.strategies.4.share=3",
        "--set: population.strategies.4.share: 3: expected a place from 0 to 0 below population.strategies",
    ),
    "a word into a list": (
        "population.strategies.first.share=3",
        "--set: population.strategies.first.share: 3: expected a place from 0 to 0 below population.strategies",
    ),
    "bad YAML": ("horizon=[1", "--set: horizon: [1: not valid YAML"),
}


@pytest.mark.parametrize(("change", "line"), wrong_changes.values(), ids=wrong_changes)
def test_a_wrong_change_is_blamed_on_the_option(written, change, line):
    assert line_about(written("seed: 1"), overrides=[change]).startswith(line.replace("'=3'", "=3"))


def test_a_wrong_seed_is_blamed_on_its_option(written):
    assert line_about(written("horizon: 2"), seed=-1).startswith("--seed: seed: -1: expected a whole number at least 0")


def test_a_fault_of_the_file_is_not_blamed_on_an_option(written):
    path = written("horizon: 0")
    assert line_about(path, overrides=["seed=3"]).startswith(f"{path}: horizon: 0")


# ---- the line itself ----------------------------------------------------------------------------------------------


def test_the_error_survives_the_way_between_processes():
    error = BadInput("a.yaml", "seed", -1, "a whole number")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "a.yaml: seed: -1: expected a whole number"


@given(st.text())
def test_a_value_is_shown_in_one_short_printable_line(text):
    line = shown(text)
    assert line.isprintable()
    assert 0 < len(line) <= 60


def test_a_parameter_that_no_column_holds_as_a_whole_number_is_a_decimal_one() -> None:
    data: dict[str, dict[str, object]] = {"partition": {"name": "dirichlet", "alpha": 10**30}}
    alpha = check_scenario({"data": data}, Path("x.yaml")).data.partition.params["alpha"]
    assert (type(alpha), alpha) == (float, 1e30)
    data["partition"]["min_samples"] = 10**30
    with pytest.raises(BadInput, match=r"data\.partition\.min_samples: 1e\+30: expected a valid integer$"):
        check_scenario({"data": data}, Path("x.yaml"))
