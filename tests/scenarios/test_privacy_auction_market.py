"""The privacy auction alive: privacy sold is noise sent, adds up in a ledger, and runs out."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from market_runs import Played, merged, play
from scipy.optimize import brentq
from scipy.stats import norm

from learning.privacy.ledger import OverBudget
from learning.privacy.terms import PrivacyTerms
from market.baselines import FixedPrice
from market.privacy_auction.mechanism import PrivacyAuction
from scenarios.engine.privacy import SOLD_OUT, PrivacyAccounts, open_accounts
from scenarios.errors import BadInput
from scenarios.loading import load_scenario
from scenarios.schema import Scenario

HONEST = [{"name": "honest"}]
MARKET: dict[str, Any] = {
    "name": "privacy",
    "horizon": 7,
    "population": {
        "initial": 12,
        "strategies": HONEST,
        "types": {
            "cost": 0.001,
            "valuation": {"name": "uniform", "low": 0.1, "high": 1.0},
            "privacy_budget": {"name": "uniform", "low": 2.0, "high": 6.0},
            "lifetime_privacy": {"name": "uniform", "low": 6.5, "high": 11.0},
            "outside_option": -100.0,
        },
    },
    "data": {"train_limit": 300, "test_limit": 100, "quality": 1.0},
    "learning": {"privacy": {"clip": 0.5}},
    "market": {"mechanism": {"name": "privacy_auction", "rule": "mfg_pricing"}, "budget": 20.0},
}


def market(**change: Any) -> Scenario:
    return Scenario.model_validate(merged(MARKET, change))


@cache
def depleted() -> Played:
    return play(market())


def per_round(run: Played) -> pd.DataFrame:
    owners = run.table("owners")
    return owners[owners["moment"] == "round"]


def composed(epsilons: list[float], delta: float) -> float:
    """What Gaussian releases of these epsilons come to, from the definition of (epsilon, delta) alone."""

    def excess(epsilon: float, mu: float) -> float:
        return norm.cdf(mu / 2 - epsilon / mu) - np.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu) - delta

    mus = [brentq(lambda mu, e=epsilon: excess(e, mu), 1e-3, 10.0) for epsilon in epsilons]
    return float(brentq(lambda epsilon: excess(epsilon, float(np.sqrt(np.square(mus).sum()))), 1e-9, 100.0))


# ---- the ledger ---------------------------------------------------------------------------------------------------


def test_what_an_owner_has_sold_adds_up_as_gaussian_releases_do() -> None:
    rows = per_round(depleted())
    for owner in (0, 5, 11):
        own = rows[(rows["owner"] == owner) & rows["arrived"]].sort_values("round")
        assert len(own) >= 2
        assert own["epsilon_spent"].iloc[-1] == pytest.approx(composed(own["epsilon_lost"].tolist(), 1e-5), rel=1e-5)


def test_nobody_ever_loses_more_than_its_lifetime_allows_and_everybody_comes_to_the_end_of_it() -> None:
    run = depleted()
    population, rounds = run.simulation.population, run.table("rounds")
    assert (population.epsilon_spent <= population.lifetime_privacy * (1 + 1e-8)).all()
    assert (population.epsilon_spent > 0.95 * population.lifetime_privacy).sum() >= 10
    assert rounds["sold_out"].iloc[0] == 0
    assert rounds["sold_out"].iloc[-1] >= 10
    assert rounds["epsilon_sold"].iloc[-1] < 0.2 * rounds["epsilon_sold"].iloc[0]


def test_an_owner_offers_its_cap_until_less_is_left_and_nothing_when_that_is_next_to_nothing() -> None:
    run = depleted()
    population, rows = run.simulation.population, per_round(run)
    offered = rows.loc[rows["epsilon"] > 0]
    caps = population.privacy_cap[offered["owner"]]
    assert (offered["reported_privacy_budget"] <= caps).all()
    first = offered[offered["round"] == offered.groupby("owner")["round"].transform("min")]
    assert first["reported_privacy_budget"].tolist() == population.privacy_cap[first["owner"]].tolist()
    assert ((population.privacy_budget == 0) | (population.privacy_budget >= SOLD_OUT * population.privacy_cap)).all()


@pytest.mark.filterwarnings("ignore::learning.privacy.mechanisms.NoiseTooSmall")
@pytest.mark.parametrize("lifetime", [4.0, 12.0, 20.0])
def test_classical_noise_costs_more_than_its_epsilon_and_nobody_sells_more_than_it_can_lose(lifetime: float) -> None:
    run = play(
        market(
            horizon=4,
            learning={"enabled": False, "privacy": {"mechanism": "gaussian_classical"}},
            population={"types": {"privacy_budget": 12.0, "lifetime_privacy": lifetime}},
        )
    )
    population, rows = run.simulation.population, per_round(run)
    assert (rows["epsilon_lost"] > 0).any()
    assert (population.epsilon_spent <= population.lifetime_privacy * (1 + 1e-8)).all()
    assert (population.epsilon_spent > 0.99 * population.lifetime_privacy).all()


def test_who_can_sell_next_to_nothing_in_its_whole_life_has_sold_out_when_it_comes() -> None:
    waiting = play(market(horizon=2, learning={"enabled": False}, population={"types": {"lifetime_privacy": 1e-9}}))
    rounds = waiting.table("rounds")
    assert rounds[["epsilon_sold", "paid"]].to_numpy().sum() == 0
    assert rounds["sold_out"].tolist() == rounds["active"].tolist()
    assert rounds["active"].iloc[0] == 12


def test_who_has_sold_out_waits_without_answering() -> None:
    rows = per_round(depleted()).sort_values(["owner", "round"])
    out = rows.groupby("owner")["privacy_budget"].shift() == 0
    assert out.sum() >= 5
    assert not rows[out]["took_part"].any()
    assert (rows[out]["status"] == "active").all()


def test_or_leaves_for_good_if_the_scenario_says_so() -> None:
    participation = {"name": "strict", "return_delay": 30.0}
    run = play(market(population={"sold_out": "leave", "participation": participation}))
    population, episodes = run.simulation.population, run.table("episodes")
    gone = np.flatnonzero(population.privacy_budget == 0)
    assert len(gone) >= 10
    assert not np.isin(gone, population.active()).any()
    assert set(episodes["stay"]) == {1}


def test_a_new_name_brings_no_new_privacy() -> None:
    """Expelled persons come back under new identities; the ledger knows the person."""
    liars = [{"name": "misreport_size", "factor": 3.0}]
    policy = {"audit_rate": 1.0, "expel_after": 1}
    participation = {"name": "strict", "whitewash": 1.0, "return_delay": 10.0}
    run = play(market(population={"strategies": liars, "participation": participation}, enforcement=policy))
    population = run.simulation.population
    assert len(population) > 12
    for person in range(12):
        rows = np.flatnonzero(population.person == person)
        spent = run.simulation.world.privacy.ledger.spent[person]
        assert population.epsilon_spent[rows[-1]] == spent
        assert spent <= population.lifetime_privacy[rows[0]] * (1 + 1e-8)


# ---- noise --------------------------------------------------------------------------------------------------------


def test_the_trainer_gives_each_upload_the_noise_of_what_was_sold() -> None:
    """With an update clipped to next to nothing, an upload is its noise: its size is that of the epsilon sold."""
    norms: dict[float, float] = {}

    def listen(simulation: Any, happening: Any) -> None:
        federation = simulation.world.federation
        if not hasattr(federation, "heard"):
            federation.heard, uploads = True, federation.uploads

            def heard(work: Any, counter: int, reference: float) -> Any:
                sent = uploads(work, counter, reference)
                norms.update(zip(work.noise_std.tolist(), federation.norms(sent, work).tolist(), strict=True))
                return sent

            federation.uploads = heard

    run = play(market(horizon=1, learning={"privacy": {"clip": 1e-6}}), listen)
    terms, weights = PrivacyTerms(1e-6), run.simulation.world.federation.model.size
    sold = per_round(run).query("epsilon > 0")["epsilon"]
    assert sorted(norms) == pytest.approx(sorted(terms.noise_std(sold.to_numpy())))
    for noise, size in norms.items():
        assert size == pytest.approx(noise * np.sqrt(weights), rel=0.15)


def test_two_uploads_under_one_draw_of_the_noise_are_refused() -> None:
    accounts = PrivacyAccounts(PrivacyTerms(1.0), "data_size", 1.0, leaves=False)
    accounts.admit(np.array([50.0, 1.0]))
    accounts.send(np.array([0]), np.array([1.0]), counter=3)
    with pytest.raises(ValueError, match="person 0 sends twice with the noise of round 3"):
        accounts.send(np.array([0]), np.array([1.0]), counter=3)
    accounts.send(np.array([0]), np.array([1.0]), counter=4)
    with pytest.raises(OverBudget):
        accounts.send(np.array([1]), np.array([1.1]), counter=3)


@pytest.mark.parametrize(
    ("weights", "share"),
    [
        ("epsilon", lambda epsilon, size: epsilon),
        ("epsilon_squared", lambda epsilon, size: epsilon**2),
        ("uniform", lambda epsilon, size: np.ones(len(size))),
        ("data_size", lambda epsilon, size: size),
    ],
)
def test_uploads_count_as_the_scenario_says(weights: str, share: Any) -> None:
    run = play(market(horizon=1, learning={"privacy": {"weights": weights}}))
    rows = per_round(run).query("arrived")
    expected = share(rows["epsilon"].to_numpy(), rows["data_size"].to_numpy())
    assert rows["weight"].to_numpy() == pytest.approx(expected / expected.sum())


def test_weights_of_least_error_lie_between_data_shares_and_least_noise() -> None:
    def weight(bias: float) -> np.ndarray:
        learning = {"privacy": {"weights": "least_error", "bias_weight": bias}}
        return np.asarray(per_round(play(market(horizon=1, learning=learning))).query("arrived")["weight"])

    rows = per_round(play(market(horizon=1))).query("arrived")
    size, noise = rows["data_size"].to_numpy(), PrivacyTerms(0.5).noise_std(rows["epsilon"].to_numpy())
    assert weight(0.0) == pytest.approx(noise**-2 / (noise**-2).sum())
    assert weight(1e6) == pytest.approx(size / size.sum(), rel=1e-4)


# ---- money --------------------------------------------------------------------------------------------------------


def test_privacy_lost_is_part_of_the_realised_utility() -> None:
    rows = per_round(depleted())
    assert (rows["privacy_cost"] == rows["valuation"] * rows["epsilon_lost"]).all()
    others = rows["payment"] - rows["training_cost"] + rows["model_benefit"] - rows["penalty"]
    assert rows["utility"].to_numpy() == pytest.approx((others - rows["privacy_cost"]).to_numpy())
    assert rows["paper_utility"].dropna().to_numpy() == pytest.approx(
        (rows["payment"] - rows["privacy_cost"])[rows["paper_utility"].notna()].to_numpy(), abs=2e-6
    )


def test_the_rounds_table_sums_it_up() -> None:
    run = depleted()
    rounds, rows = run.table("rounds").set_index("round"), per_round(run)
    for column in ("epsilon_lost", "privacy_cost"):
        assert rounds[column].to_numpy() == pytest.approx(rows.groupby("round")[column].sum().to_numpy())
    bids = run.simulation.population.valuation  # of the first round: nobody comes or has sold out before it
    assert rounds["mean_field_valuation"].iloc[0] == pytest.approx(bids.mean())
    worth = np.log1p(rounds["epsilon_lost"])
    assert rounds["paper_surplus"].to_numpy() == pytest.approx((worth - rounds["privacy_cost"]).to_numpy(), abs=1e-4)
    assert (rounds["paid"] <= rounds["budget"]).all()


def test_who_overstates_what_it_can_sell_is_paid_for_it_and_sends_noise_instead() -> None:
    liars = [{"name": "misreport_privacy_budget", "factor": 2.0}]
    run = play(market(horizon=1, population={"strategies": liars}))
    rows = per_round(run).query("epsilon > 0")
    caps = run.simulation.population.privacy_cap[rows["owner"]]
    assert rows["epsilon"].to_numpy() == pytest.approx(2 * caps)
    assert rows["epsilon_lost"].to_numpy() == pytest.approx(caps)
    assert rows["violation"].all()


def test_a_forged_upload_loses_no_privacy() -> None:
    run = play(market(horizon=2, population={"strategies": [{"name": "free_rider_noise"}]}))
    rows = per_round(run)
    assert (rows["epsilon"] > 0).any()
    assert (rows["payment"] > 0).any()
    assert (rows["epsilon_spent"] == 0).all()


def test_a_poisoned_upload_loses_privacy_like_an_honest_one() -> None:
    """There is training behind it, and the noise of what was sold on it."""
    poison = [{"name": "attack_sign_flip"}]
    run = play(market(horizon=1, learning={"enabled": False}, population={"strategies": poison}))
    rows, total = per_round(run).query("epsilon > 0"), run.table("rounds").iloc[0]
    assert (rows["privacy_cost"] > 0).all()
    assert rows["paper_utility"].to_numpy() == pytest.approx(
        (rows["payment"] - rows["privacy_cost"]).to_numpy(), abs=2e-6
    )
    assert total["paper_surplus"] == pytest.approx(np.log1p(total["epsilon_lost"]) - total["privacy_cost"], abs=1e-4)


def test_the_valuation_rule_is_equation_16() -> None:
    rule = {"accuracy": 0.6, "data": 0.01, "non_iid": 0.5}
    plain = depleted().simulation.population
    world = play(market(horizon=1, population={"valuation_rule": rule})).simulation.world
    population, shards = world.population, world.federation.shards
    everybody = shards.sizes @ shards.class_mix / shards.sizes.sum()
    apart = 0.5 * np.abs(shards.class_mix - everybody).sum(axis=1)[population.shard]
    added = 0.6 * population.quality / population.privacy_cap + 0.01 * population.data_size + 0.5 * apart
    assert population.valuation == pytest.approx(plain.valuation[: len(population)] + added)
    assert apart.max() > 0.1


# ---- choices ------------------------------------------------------------------------------------------------------


def test_without_training_the_market_sells_all_the_same() -> None:
    trained, untrained = depleted().table("rounds"), play(market(learning={"enabled": False})).table("rounds")
    assert untrained["accuracy"].isna().all()
    assert untrained["epsilon_sold"].tolist() == trained["epsilon_sold"].tolist()
    assert untrained["paid"].tolist() == trained["paid"].tolist()


def test_asynchronous_rounds_spend_what_is_merged() -> None:
    run = play(market(round={"late": "buffer", "buffer_size": 3}, population={"types": {"link_time": 25.0}}))
    rows = per_round(run)
    ledger = run.simulation.world.privacy.ledger
    assert rows.groupby("owner")["epsilon_lost"].sum().to_numpy() == pytest.approx(ledger.epsilon_sum)
    assert (ledger.releases > 1).any()


def test_who_leaves_after_its_upload_was_merged_has_lost_that_privacy_and_sells_less_when_it_returns() -> None:
    run = play(
        market(
            horizon=20,
            learning={"enabled": False},
            round={"late": "buffer", "buffer_size": 3},
            population={
                "departure_rate": 0.5,
                "participation": {"name": "strict", "return_delay": 5.0},
                "types": {"link_time": 25.0},
            },
        )
    )
    population, ledger, rows = run.simulation.population, run.simulation.world.privacy.ledger, per_round(run)
    assert (population.epsilon_spent == ledger.spent).all()
    assert (population.epsilon_spent <= population.lifetime_privacy * (1 + 1e-8)).all()
    settled = rows.groupby("owner")["epsilon_lost"].sum().reindex(range(len(population)), fill_value=0.0).to_numpy()
    unpaid = ledger.epsilon_sum - settled  # sent, but gone or cut off before the settlement
    assert (unpaid > 1e-6).any()
    paid = rows.groupby("owner")["utility"].sum().reindex(range(len(population)), fill_value=0.0).to_numpy()
    forfeited = paid - population.utility_total
    assert (forfeited >= population.valuation * unpaid - 1e-6).all()


def test_what_is_forfeited_stands_beside_what_is_settled_and_the_rounds_add_up_to_the_ledger() -> None:
    run = play(
        market(
            horizon=20,
            learning={"enabled": False},
            round={"late": "buffer", "buffer_size": 3},
            population={"departure_rate": 0.5, "types": {"link_time": 25.0}},
        )
    )
    rounds, rows, world = run.table("rounds"), per_round(run), run.simulation.world
    assert rounds["epsilon_forfeited"].sum() > 1.0
    merged_last = world.flights.epsilon_lost[world.flights.sent].sum()  # and not settled when the run ended
    in_rounds = rounds["epsilon_lost"] + rounds["epsilon_forfeited"]
    assert in_rounds.sum() + merged_last == pytest.approx(world.privacy.ledger.epsilon_sum.sum())
    settled = rows.groupby("round")["utility"].sum().reindex(rounds["round"], fill_value=0.0).to_numpy()
    assert rounds["owner_utility"].to_numpy() == pytest.approx(settled - rounds["forfeited"].to_numpy())


def test_what_is_promised_for_uploads_on_their_way_is_not_promised_again() -> None:
    """Asynchronous rounds pay for what several plans have bought; together they keep within the buyer's money."""
    run = play(
        market(
            horizon=6,
            learning={"enabled": False},
            round={"late": "buffer", "buffer_size": 2},
            population={"types": {"link_time": 40.0}},
            market={"treasury": 35.0, "revenue": 0.0},
        )
    )
    rounds = run.table("rounds")
    assert rounds["paid"].sum() == pytest.approx(35.0, abs=1e-3)
    assert (rounds["budget"] < 20.0).any()


def test_accounts_are_opened_for_the_mechanism_that_plays() -> None:
    scenario = market()
    assert open_accounts(scenario, PrivacyAuction()) is not None
    assert open_accounts(scenario, FixedPrice()) is None


def test_a_sample_can_stand_for_all_who_send() -> None:
    run = play(market(horizon=2, learning={"trained_sample": 4}))
    rows = per_round(run).query("round == 0")
    assert rows["arrived"].sum() >= 10
    assert (rows["weight"] > 0).sum() == 4
    assert rows["weight"].sum() == pytest.approx(1.0)
    assert (rows.query("arrived")["epsilon_lost"] > 0).all()


@pytest.mark.parametrize(
    ("overrides", "line"),
    [
        (["learning.privacy.clip=null"], "learning.privacy.clip: is missing"),
        (["learning.privacy.noise_multiplier=1"], "learning.privacy.noise_multiplier: 1.0: 0: owners sell privacy"),
        (["market.mechanism.rule=dutch"], "market.mechanism.rule: dutch: expected"),
        (["population.types.privacy_budget=-1"], "privacy_budget"),
        (["population.sold_out=sulk"], "population.sold_out: sulk: expected"),
        (["market.mechanism.rule=foo"], "market.mechanism.rule: foo: expected 'pac', 'pac_capped', 'vcg', 'csra', "),
        (["learning.algorithm=scaffold"], "learning.algorithm: scaffold"),
        (["learning.personalization=fedamp"], "market.mechanism.name: privacy_auction: this mechanism pays for one"),
    ],
)
def test_a_choice_without_meaning_gets_one_line(overrides: list[str], line: str) -> None:
    with pytest.raises(BadInput) as caught:
        play(load_scenario("privacy_auction_market", overrides=[*overrides, "horizon=1"]))
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_sample_is_refused_where_every_upload_is_needed() -> None:
    with pytest.raises(BadInput, match=r"learning.trained_sample: 5: null: shapley needs every upload"):
        load_scenario("quickstart", overrides=["market.mechanism=shapley", "learning.trained_sample=5"])


# ---- agents -------------------------------------------------------------------------------------------------------


def test_owners_become_mesa_agents_when_somebody_looks() -> None:
    simulation = play(market(horizon=2)).simulation
    active = simulation.population.active().tolist()
    assert len(simulation.owners) == len(active)
    owner = simulation.owners[active[3]]
    assert owner.valuation == simulation.population.valuation[active[3]]
    assert simulation.owners[active[3]] is owner
    of_column = simulation.population.active()[3]
    assert of_column in simulation.owners
    assert simulation.owners[of_column] is owner
    assert -1 not in simulation.owners
    assert {agent.owner_id for agent in simulation.agents if hasattr(agent, "owner_id")} == set(active)


# ---- the ready-made scenarios -------------------------------------------------------------------------------------


def test_where_privacy_runs_out_the_cheap_owners_go_first_and_epsilon_gets_dear() -> None:
    run = play(load_scenario("privacy_auction_depletion", overrides=["learning.enabled=false"]))
    rounds, population = run.table("rounds"), run.simulation.population
    price = rounds["paid"] / rounds["epsilon_sold"]
    assert price.tail(5).min() > 1.5 * price.iloc[0]
    assert rounds["active"].iloc[-1] < 0.5 * rounds["active"].iloc[0]
    sold_out = population.privacy_budget[:150] == 0
    assert population.valuation[:150][sold_out].mean() < population.valuation[:150][~sold_out].mean()


def members_and_others(second: str) -> tuple[float, float]:
    """Utility of a sixth of the owners, who follow that strategy, and of the honest rest; everybody stays."""
    calm = ["learning.enabled=false", "horizon=3", "population.arrival_rate=0", "population.departure_rate=0"]
    people = f"population.strategies=[{{name: honest, share: 0.8}}, {{{second}, share: 0.2}}]"
    stay = ["population.types.outside_option=-1"]
    run = play(load_scenario("privacy_auction_market", overrides=[*calm, people, *stay]))
    rows, members = per_round(run), run.simulation.population.strategy == 1
    of_members = members[rows["owner"]]
    return float(rows.loc[of_members, "utility"].sum()), float(rows.loc[~of_members, "utility"].sum())


def test_a_ring_that_overstates_gives_its_sales_to_the_others() -> None:
    honest, ring = members_and_others("name: honest"), members_and_others("name: collusion_ring, factor: 1.5")
    assert ring[0] < 0.8 * honest[0]
    assert ring[1] > honest[1]


def test_offering_more_epsilon_than_there_is_pays_while_nobody_looks() -> None:
    honest, liars = members_and_others("name: honest"), members_and_others("name: misreport_privacy_budget")
    assert liars[0] > 1.5 * honest[0]
