"""What the studies of iPFL are made of: exact numbers, settings, scenarios, pictures."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

from learning.data import load_dataset
from scenarios.errors import BadInput
from scenarios.reproduce.ipfl import identities, inclusive, instructions, lies
from scenarios.reproduce.ipfl.living import IPFL, PERSONALIZATION, QUICK, find, gain_scale, market, settings, training
from scenarios.reproduce.ipfl.published import EDGES_5, FIGURE_2, METHODS, NET_5, ROLES_5
from scenarios.reproduce.study import Options
from scenarios.reproduce.tables import tidy

QUICKLY = Options("digits", quick=True)

# ---- published numbers ----------------------------------------------------------------------------------------------


def test_methods_that_use_everybody_have_one_published_utility() -> None:
    for points in FIGURE_2.values():
        assert list(points) == list(METHODS)
        assert len({points[method].utility for method in ("FedAvg", "FedProx", "Ditto", "FedAMP")}) == 1
        assert max(points, key=lambda method: points[method].utility) == IPFL


def test_the_twelve_clients_have_four_roles() -> None:
    assert sorted(client for clients in ROLES_5.values() for client in clients) == list(range(1, 13))
    assert not {payee for _, payee, _ in EDGES_5} & set(ROLES_5["buyer"])
    assert not {payer for payer, _, _ in EDGES_5} & set(ROLES_5["seller"])


# ---- exact numbers --------------------------------------------------------------------------------------------------


def test_the_market_gives_the_utilities_that_formulas_give() -> None:
    found = identities.exact_utilities()
    root = math.sqrt
    assert found["CIFAR-10 Skew, FedAvg"] == pytest.approx(50 * (10 - root(5e5 / 5e4) - 9), abs=1e-9)
    assert found["CIFAR-10 Skew, iPFL"] == pytest.approx(50 * (10 * (1 - 1 / root(3)) - 2), abs=1e-9)
    assert found["Mix-Finance, FedAvg"] == pytest.approx(50 * (10 - root(2e4 / 1200) - 5), abs=1e-9)
    assert found["Mix-Finance, iPFL"] == pytest.approx(50 * (10 - root(50) - 1), abs=1e-9)


@pytest.mark.parametrize(("weighted", "bought"), [(0.29, 2), (0.2977, 1), (0.31, 1), (1.92, 1), (1.94, 0)])
def test_purchase_windows(weighted: float, bought: int) -> None:
    assert identities.purchases_at(weighted) == (bought, bought)


def test_the_books_of_figure_5_close_and_show_the_misprint() -> None:
    nets = identities.net_amounts()
    assert sum(nets) == pytest.approx(0.0, abs=1e-9)
    assert nets[8 - 1] == pytest.approx(20.04, abs=1e-9)
    for client, net in enumerate(nets, start=1):
        if client != 8:
            assert net == pytest.approx(NET_5[client], abs=0.005)


def test_only_the_misprint_differs() -> None:
    rows = identities.identities(QUICKLY).rows
    assert [row.key[1] for row in rows if row.verdict.word != "reproduced"] == ["client 8"]


# ---- static markets -------------------------------------------------------------------------------------------------


def test_random_markets_are_what_they_say() -> None:
    markets = [lies.random_market(number, lies.UNEQUAL) for number in range(20)]
    for types, distance in markets:
        assert np.array_equal(distance, distance.T)
        assert not distance.diagonal().any()
        near = (np.arange(8)[:, None] % 3 == np.arange(8) % 3) & ~np.eye(8, dtype=bool)
        assert 0.05 <= distance[near].min() <= distance[near].max() <= 0.4
        assert 500 <= types.data_size.min() <= types.data_size.max() <= 12_000
    assert np.unique([types.data_size[0] for types, _ in markets]).size == 20
    assert (lies.random_market(3, lies.EQUAL).types.data_size == 5000).all()


# ---- settings -------------------------------------------------------------------------------------------------------


def test_digits_need_no_download_for_any_setting() -> None:
    assert {setting.dataset for setting in settings("digits")} == {
        "digits", "digits_writers", "digits_domains", "markov_text",
    }  # fmt: skip


def test_with_the_papers_data_only_three_settings_have_stand_ins() -> None:
    chosen = {setting.name: setting.dataset for setting in settings("cifar10")}
    assert {chosen[f"CIFAR-10 {kind}"] for kind in ("NIID", "Cluster", "Skew")} == {"cifar10"}
    assert {chosen[f"Fashion-MNIST {kind}"] for kind in ("NIID", "Cluster", "Skew")} == {"fashion_mnist"}
    assert (chosen["PACS"], chosen["FEMNIST"]) == ("cifar10_domains", "mnist_writers")


def test_gains_are_as_large_as_in_the_paper() -> None:
    """K / N of the mean owner: 5e5 / 5000 in CIFAR-10 with ten clients."""
    setting = find("digits", "CIFAR-10 Skew")
    worth = gain_scale(setting, training(setting, QUICK))
    assert worth / (len(load_dataset("digits").y_train) / setting.clients) == pytest.approx(100.0)


def test_owners_of_instructions_have_the_gains_of_the_paper() -> None:
    """K of 2e4 for six owners of 200 samples, 5e4 for five of 500 programs and three of 200 pieces of news."""
    full = instructions.FULL  # with all samples: K shrinks with the data where fewer are dealt
    found = [(tuning.setting, replace(full[tuning.setting.name], samples=None)) for tuning in instructions.TUNINGS]
    assert [setting.clients for setting, _ in found] == [6, 8]
    assert [gain_scale(setting, training(setting, scale)) for setting, scale in found] == pytest.approx(
        [2e4, 5e4], rel=1e-3
    )  # two of the 3,100 samples are missing in the second


@pytest.mark.parametrize("method", METHODS)
def test_only_ipfl_has_a_market_for_models(method: str) -> None:
    scenario = market(find("digits", "CIFAR-10 Cluster"), QUICK, method)
    assert scenario.learning.personalization.name == PERSONALIZATION[method]["name"]
    assert scenario.market.mechanism.name == ("ipfl" if method == IPFL else "model_sharing")
    assert scenario.population.initial == 9


def test_lambda_is_one_number_in_learning_and_in_the_market() -> None:
    scenario = market(find("digits", "PACS"), QUICK)
    assert scenario.learning.personalization.params["dissimilarity_penalty"] == 1e-5
    assert scenario.market.mechanism.params["dissimilarity_penalty"] == 1e-5


def test_data_that_are_not_there_are_refused_in_one_line() -> None:
    with pytest.raises(BadInput, match=r"missing\.npz"):
        training(find("missing.npz", "CIFAR-10 Skew"), QUICK)


# ---- the inclusive market -------------------------------------------------------------------------------------------


def test_roles_have_their_types() -> None:
    fields = inclusive.roles(1000.0, seed=1)
    worth, cost = (np.array(fields["types"][name]["values"]) for name in ("gain_scale", "sharing_cost"))
    for role, clients in ROLES_5.items():
        own = np.array(clients) - 1
        if role in ("trader", "buyer"):
            assert ((worth[own] >= 500) & (worth[own] <= 1000)).all()
        else:
            assert (worth[own] == 0.0).all()
    assert ((cost[[3, 4, 6]] >= 0.5) & (cost[[3, 4, 6]] <= 1.0)).all()
    assert (cost[[1, 2, 8, 9]] == 1000.0).all()
    assert fields["assignment"] == [0] * 11 + [1]


def test_agreement_counts_edges_of_both_graphs() -> None:
    amounts = np.zeros((12, 12))
    for payer, payee, amount in EDGES_5:
        amounts[payer - 1, payee - 1] = amount
    assert inclusive.agreement(amounts) == 1.0
    amounts[0, 11] = 1.0
    assert inclusive.agreement(amounts) == pytest.approx(12 / 13)


# ---- pictures -------------------------------------------------------------------------------------------------------


def test_pictures_are_drawn_from_tidy_tables_onto_given_axes() -> None:
    rows = identities.identities(QUICKLY).rows
    table = tidy(identities.COLUMNS, rows)
    assert list(table.columns) == [*identities.COLUMNS, "found", "sd", "published", "verdict"]
    ax = Figure().add_subplot()
    assert identities.plot_net_amounts(table, ax) is ax
    assert len(ax.patches) == 12


def test_flows_are_drawn_where_they_go() -> None:
    amounts = np.zeros((12, 12))
    amounts[1, 0] = 30.0
    ax = inclusive.plot_flows(inclusive.flows(amounts), Figure().add_subplot())
    drawn = ax.images[0].get_array()
    assert drawn[1, 0] == 30.0
    assert [text.get_text() for text in ax.texts] == ["30"]
    assert ax.texts[0].get_position() == (1, 2)
