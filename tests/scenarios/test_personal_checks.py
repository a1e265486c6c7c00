"""Scenarios of markets for personal models: what goes together, and what would have no effect and is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from learning.personalization import PERSONALIZATION, PersonalMethod
from scenarios.errors import BadInput
from scenarios.loading import load_scenario, resolved_yaml

MARKET = """
learning: {personalization: proximal_centre}
market: {mechanism: ipfl}
"""


def loaded(tmp_path: Path, *overrides: str, text: str = MARKET):
    path = tmp_path / "market.yaml"
    path.write_text(text, encoding="utf-8")
    return load_scenario(path, overrides=overrides)


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        (
            "round.staleness.exponent=0.7",
            "round.staleness.exponent: 0.7: expected 0.5, for personal models are exchanged once",
        ),
        (
            "round.staleness={name: constant}",
            "round.staleness.name: constant: expected polynomial, for personal models",
        ),
        ("round.merging=fedasync", "round.merging: fedasync: expected fedbuff, for personal models are exchanged once"),
        ("round.buffer_size=3", "round.buffer_size: 3: expected 10, for personal models are exchanged once a round"),
        ("learning.contribution=leave_one_out", "learning.contribution: leave_one_out: expected shapley, for nobody"),
        (
            "learning.contribution.permutations=7",
            "learning.contribution.permutations: 7: expected 20, for nobody measures",
        ),
        (
            "learning.measurement.half_width=0.1",
            "learning.measurement.half_width: 0.1: expected null, for nobody measures",
        ),
        (
            "learning.server.learning_rate=0.5",
            "learning.server.learning_rate: 0.5: expected 1.0, for there is no global model",
        ),
        ("learning.aggregation=median", "learning.aggregation: median: expected mean, for there is no global model"),
        (
            "market.revenue=7",
            "market.revenue: 7.0: expected 0, for there is no model owner in a market of personal models",
        ),
    ],
)
def test_a_setting_without_effect_among_personal_models_is_refused_in_one_line(
    override: str, complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput) as refused:
        loaded(tmp_path, override)
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_resolved_text_of_a_market_for_personal_models_loads_again(tmp_path: Path) -> None:
    scenario = loaded(tmp_path, "market.budget=0")
    assert loaded(tmp_path, text=resolved_yaml(scenario)) == scenario


def test_the_same_settings_are_free_where_there_is_one_global_model(tmp_path: Path) -> None:
    scenario = loaded(tmp_path, "round.staleness.exponent=0.7", "market.revenue=7", text="")
    assert scenario.market.revenue == 7.0


@pytest.mark.parametrize("way", ["market.mechanism.dissimilarity_penalty=3.0", "market.mechanism={name: ipfl}"])
def test_proximal_centres_pull_by_the_lambda_of_the_market(way: str, tmp_path: Path) -> None:
    scenario = loaded(tmp_path, way)
    method, mechanism = scenario.learning.personalization, scenario.market.mechanism
    assert method is not None
    assert method.params["dissimilarity_penalty"] == mechanism.params["dissimilarity_penalty"]


def test_two_different_lambdas_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"learning.personalization.dissimilarity_penalty: 1.0: expected 2.0, as in market.mecha"
    ):
        loaded(tmp_path, "learning.personalization={name: proximal_centre, dissimilarity_penalty: 1.0}")


@pytest.mark.parametrize("said", ["'2'", "true", "[2.0]"])
def test_a_lambda_that_is_no_number_is_told_so(said: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"dissimilarity_penalty: .*: .*valid number"):
        loaded(tmp_path, f"learning.personalization={{name: proximal_centre, dissimilarity_penalty: {said}}}")


@pytest.mark.parametrize("method", sorted(PERSONALIZATION))
def test_nobody_buys_models_for_a_method_that_uses_none(method: str, tmp_path: Path) -> None:
    chosen = PERSONALIZATION[method]
    if chosen.market or chosen.collaboration is not PersonalMethod.collaboration:
        assert loaded(tmp_path, f"learning.personalization={method}").learning.personalization.name == method
    else:
        with pytest.raises(BadInput, match=f"personalization: {method}: a method that uses models of others, as prox"):
            loaded(tmp_path, f"learning.personalization={method}")


@pytest.mark.parametrize(
    "cost", ["null", "{kind: table, values: [1.0, null]}", "{kind: choice, values: [null, 2.0], weights: [1, 1]}"]
)
def test_a_sharing_cost_may_be_null_for_who_never_sells(cost: str, tmp_path: Path) -> None:
    scenario = loaded(tmp_path, f"population.types.sharing_cost={cost}")
    assert loaded(tmp_path, text=resolved_yaml(scenario)) == scenario


def test_no_other_type_may_be_null(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="gain_scale can be inf, expected finite numbers at least 0"):
        loaded(tmp_path, "population.types.gain_scale={kind: constant, value: null}")


@pytest.mark.parametrize(
    "text",
    ["", "learning: {personalization: fedamp}\nmarket: {mechanism: model_sharing}"],
    ids=["one global model", "models shared for nothing"],
)
def test_nobody_can_refuse_to_sell_where_nothing_is_sold(text: str, tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"population.types.sharing_cost: .*: expected a number for everybody: only in the market"
    ):
        loaded(tmp_path, "population.types.sharing_cost=null", text=text)
