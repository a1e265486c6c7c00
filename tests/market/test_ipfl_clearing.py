import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sharing_markets import PENALTY, random_market

from market.ipfl import Purchases, SharingRules, SharingTypes, clear, play_round, settle
from market.ledger import Entries, Ledger
from market.money import from_micro, to_micro
from market.parties import WORLD

SEEDS = st.integers(0, 10**6)
ROUNDS = 50  # published utilities are sums over rounds


def twins() -> np.ndarray:
    """Distances of six owners in three pairs, whose partners are near."""
    pair = np.arange(6) // 2
    return np.where(pair[:, None] == pair, 0.1, 0.5)


def everybody_imports_from_everybody(owners: int) -> Purchases:
    """The graph of FedAvg: no payments, and a cost for each import."""
    return Purchases(~np.eye(owners, dtype=np.bool_), np.zeros((owners, owners)))


# ---- published figures --------------------------------------------------------------------------------------------


def test_cifar10_skew_has_the_published_utilities():
    types = SharingTypes(np.full(10, 5e5), np.full(10, 5000.0), np.ones(10))
    outcome = play_round(types, types, np.full((10, 10), 0.1), SharingRules(PENALTY))
    assert (outcome.adjacency.sum(axis=1) == 2).all()
    assert ROUNDS * outcome.utility_client.mean() == pytest.approx(111.32, abs=0.01)
    fedavg = settle(types, everybody_imports_from_everybody(10))
    assert ROUNDS * fedavg.utility_client.mean() == pytest.approx(-108.11, abs=0.01)
    assert (fedavg.net_payment == 0).all()


def test_mix_finance_has_the_published_utilities_and_each_buys_its_twin():
    types = SharingTypes(np.full(6, 2e4), np.full(6, 200.0), np.ones(6))
    outcome = play_round(types, types, twins(), SharingRules(PENALTY))
    assert outcome.adjacency.argmax(axis=1).tolist() == [1, 0, 3, 2, 5, 4]
    assert (outcome.adjacency.sum(axis=1) == 1).all()
    assert ROUNDS * outcome.utility_client.mean() == pytest.approx(96.45, abs=0.01)
    fedavg = settle(types, everybody_imports_from_everybody(6))
    assert ROUNDS * fedavg.utility_client.mean() == pytest.approx(45.88, abs=0.01)


FIGURE_5 = [
    (2, 4, 26.11), (3, 4, 24.73), (4, 1, 54.73), (2, 1, 24.66), (3, 1, 23.29), (9, 11, 44.99),
    (5, 8, 9.05), (5, 6, 11.84), (5, 7, 14.95), (7, 8, 10.99), (7, 6, 14.29), (10, 11, 59.36),
]  # fmt: skip
FIGURE_5_NET = [102.68, -50.77, -48.02, -3.89, -35.84, 26.13, -10.33, 20.04, -44.99, -59.36, 104.35, 0.0]


def test_the_published_inclusive_market_adds_up_in_the_ledger_and_in_the_settlement():
    payer, payee, amount = (np.array(column) for column in zip(*FIGURE_5, strict=True))
    ledger = Ledger(12)
    ledger.post(0, 0, Entries.of("endowment", WORLD, np.arange(12), to_micro(100.0)))
    ledger.post(1, 0, Entries.of("payment", payer - 1, payee - 1, to_micro(amount)))
    assert from_micro(ledger.wallet) - 100 == pytest.approx(FIGURE_5_NET, abs=0.005)
    assert ledger.imbalance() == 0

    payment = np.zeros((12, 12))
    payment[payer - 1, payee - 1] = amount
    types = SharingTypes(np.zeros(12), np.ones(12), np.zeros(12))
    outcome = settle(types, Purchases(payment > 0, payment))
    assert -outcome.net_payment == pytest.approx(FIGURE_5_NET, abs=0.005)
    assert outcome.balance == pytest.approx(0.0, abs=1e-9)


def test_in_an_inclusive_market_buyers_pay_sellers_receive_and_an_unlike_model_sells_nothing():
    chance = np.random.default_rng(8)
    cluster = np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3])  # the last uploads a shuffled model
    distance = np.where(cluster[:, None] == cluster, 0.15, 1.0)
    scale, cost = chance.uniform(2.5e5, 5e5, 12), chance.uniform(0.5, 1.0, 12)
    buyers, sellers = [1, 2, 8, 9], [0, 5, 7, 10, 11]
    cost[buyers] = np.inf
    scale[sellers] = cost[sellers] = 0.0
    types = SharingTypes(scale, np.full(12, 5555.0), cost)
    outcome = play_round(types, types, distance, SharingRules(4.0))
    assert (outcome.net_payment[buyers] > 0).all()
    assert (outcome.net_payment[sellers] <= 0).all()
    assert (outcome.utility_client >= 0).all()
    user, source = np.nonzero(outcome.adjacency)
    assert (cluster[user] == cluster[source]).all()
    assert outcome.net_payment[11] == 0.0


# ---- accounts -----------------------------------------------------------------------------------------------------


@given(seed=SEEDS, payment_rule=st.sampled_from(["ipfl", "critical", "vcg"]))
def test_utility_is_gain_less_cost_of_sharing_less_net_payment(seed, payment_rule):
    types, distance = random_market(seed)
    outcome = play_round(types, types, distance, SharingRules(PENALTY, payment_rule))
    for i in range(8):
        bought = sum(types.data_size[j] for j in range(8) if outcome.adjacency[i, j])
        gain = np.sqrt(types.gain_scale[i] / types.data_size[i]) - np.sqrt(
            types.gain_scale[i] / (types.data_size[i] + bought)
        )
        net = sum(outcome.payment[i, j] - outcome.payment[j, i] for j in range(8))
        cost = types.sharing_cost[i] * sum(outcome.adjacency[j, i] for j in range(8))
        assert outcome.gain[i] == pytest.approx(gain, abs=1e-9)
        assert outcome.utility_client[i] == pytest.approx(gain - cost - net, abs=1e-9)
    assert outcome.welfare == pytest.approx(outcome.utility_client.sum(), abs=1e-9)


def test_honest_owners_never_lose():
    worst = min(
        play_round(types, types, distance, SharingRules(PENALTY)).utility_client.min()
        for types, distance in (random_market(seed) for seed in range(50))
    )
    assert worst >= -1e-9


def test_reports_make_the_graph_and_the_truth_makes_the_utilities():
    truth, distance = random_market(6)
    said = SharingTypes(truth.gain_scale, truth.data_size.copy(), truth.sharing_cost.copy())
    said.data_size[0] *= 2.0
    said.sharing_cost[0] *= 0.5
    outcome = play_round(truth, said, distance, SharingRules(PENALTY))
    purchased = clear(said, distance, SharingRules(PENALTY))
    assert np.array_equal(outcome.payment, purchased.payment)
    assert outcome.adjacency[:, 0].any()
    assert outcome.utility_client.tolist() == settle(truth, purchased).utility_client.tolist()
    assert outcome.utility_client.tolist() != settle(said, purchased).utility_client.tolist()


def test_a_market_without_one_owner_is_the_market_of_the_others():
    types, distance = random_market(1)
    rules = SharingRules(PENALTY)
    stay = np.array([0, 1, 2, 4, 5, 6, 7])
    left = SharingTypes(types.gain_scale[stay], types.data_size[stay], types.sharing_cost[stay])
    away = SharingTypes(types.gain_scale.copy(), types.data_size, types.sharing_cost.copy())
    away.gain_scale[3], away.sharing_cost[3] = 0.0, np.inf
    with_guest = clear(away, distance, rules)
    assert np.array_equal(clear(left, distance[stay][:, stay], rules).chosen, with_guest.chosen[stay][:, stay])
    assert not with_guest.chosen[3].any()
    assert not with_guest.chosen[:, 3].any()


def test_one_owner_alone_trades_with_nobody():
    alone = SharingTypes(np.array([5e5]), np.array([100.0]), np.array([1.0]))
    for payment_rule in ("ipfl", "critical", "vcg"):
        outcome = play_round(alone, alone, np.zeros((1, 1)), SharingRules(PENALTY, payment_rule))
        assert not outcome.adjacency.any()
        assert outcome.utility_client.tolist() == [0.0]
        assert outcome.balance == outcome.welfare == 0.0
