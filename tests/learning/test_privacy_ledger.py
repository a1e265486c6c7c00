import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from learning.privacy.accounting import ORDERS, epsilon_of_rdp, gaussian_rdp, laplace_rdp, subsampled_gaussian_rdp
from learning.privacy.ledger import OverBudget, PrivacyLedger
from learning.privacy.mechanisms import gaussian_epsilon, gaussian_noise_multiplier
from learning.privacy.terms import PrivacyTerms

TERMS = PrivacyTerms(clip_norm=0.5)
CENTRAL = PrivacyTerms(clip_norm=0.5, neighbouring_relation="add_remove")
LAPLACE = PrivacyTerms(clip_norm=0.5, noise_mechanism="laplace")
ALL = np.arange(3)
FREE = np.full(3, np.inf)


def column(*numbers: float) -> np.ndarray:
    return np.array(numbers, dtype=np.float64)


def sell(ledger: PrivacyLedger, rows: np.ndarray, epsilon: np.ndarray) -> None:
    ledger.spend(rows, ledger.terms.noise_std(epsilon))


@pytest.mark.parametrize("terms", [TERMS, CENTRAL, LAPLACE], ids=["replace one", "add or remove", "laplace"])
@given(st.lists(st.floats(0.01, 20), min_size=3, max_size=3))
def test_privacy_sold_once_is_privacy_spent(terms, sold):
    ledger = PrivacyLedger(terms, FREE)
    sell(ledger, ALL, column(*sold))
    # Mironov's curve proves less than the epsilon of one Laplace release, so there the ledger may know better.
    assert (ledger.spent <= column(*sold) * (1 + 1e-7)).all()
    if terms is not LAPLACE:
        assert ledger.spent == pytest.approx(column(*sold), rel=1e-7)
    assert ledger.epsilon_sum == pytest.approx(column(*sold), rel=1e-7)
    assert ledger.releases.tolist() == [1, 1, 1]


def test_equal_releases_come_to_the_closed_form():
    ledger = PrivacyLedger(TERMS, FREE)
    for _ in range(50):
        sell(ledger, ALL, column(1.0, 0.5, 2.0))
    multiplier = gaussian_noise_multiplier(column(1.0, 0.5, 2.0), 1e-5)
    assert ledger.spent == pytest.approx(gaussian_epsilon(multiplier / np.sqrt(50), 1e-5), rel=1e-9)
    # Below what Renyi's way would prove (10.1 for epsilon 1), and far below the plain sum.
    assert (ledger.spent < epsilon_of_rdp(50 * gaussian_rdp(multiplier, ORDERS), 1e-5, ORDERS)).all()
    assert ledger.epsilon_sum == pytest.approx(column(50, 25, 100))
    assert ledger.delta_sum == pytest.approx(50e-5)


@settings(max_examples=30)
@given(st.lists(st.floats(0.05, 3), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_the_order_of_releases_does_not_matter_and_each_costs_something(epsilons, random):
    shuffled = epsilons.copy()
    random.shuffle(shuffled)
    spent = []
    for order in (epsilons, shuffled):
        ledger = PrivacyLedger(TERMS, column(np.inf))
        history = [0.0]
        for epsilon in order:
            sell(ledger, ALL[:1], column(epsilon))
            history.append(float(ledger.spent[0]))
        assert (np.diff(history) > 0).all()
        spent.append(history[-1])
    assert spent[0] == pytest.approx(spent[1], rel=1e-9)


def test_a_release_that_would_exceed_the_budget_is_refused_and_nothing_is_entered():
    ledger = PrivacyLedger(TERMS, column(3.0, 1.0, 3.0))
    sell(ledger, ALL, column(1.0, 1.0, 1.0))
    before = ledger.state()
    noise = TERMS.noise_std(column(1.0, 0.2, 2.9))
    assert ledger.affordable(ALL, noise).tolist() == [True, False, False]
    with pytest.raises(OverBudget, match=r"rows \[1, 2\] \(2 in all\)") as refused:
        ledger.spend(ALL, noise)
    assert refused.value.rows.tolist() == [1, 2]
    assert all(np.array_equal(before[name], now) for name, now in ledger.state().items())
    assert ledger.remaining() == pytest.approx([2.0, 0.0, 2.0], rel=1e-9)


@settings(max_examples=20)
@given(st.floats(0.5, 10), st.lists(st.floats(0.05, 1), min_size=1, max_size=5))
def test_the_largest_release_uses_up_the_budget_exactly(budget, earlier):
    for terms in (TERMS, LAPLACE):
        ledger = PrivacyLedger(terms, column(budget))
        one = np.array([0])
        for epsilon in earlier:
            noise = terms.noise_std(column(epsilon))
            assume(ledger.affordable(one, noise)[0])
            ledger.spend(one, noise)
        last = ledger.largest_epsilon(one)
        assert last[0] >= ledger.remaining()[0] - 1e-3 * budget, "losses add up more slowly than epsilons"
        assume(last[0] > 1e-3)
        assert not ledger.affordable(one, terms.noise_std(last * 1.001))[0]
        sell(ledger, one, last)
        assert ledger.spent[0] == pytest.approx(budget, rel=1e-6)
        assert ledger.largest_epsilon(one)[0] == pytest.approx(0, abs=1e-3 * budget)


def test_a_sold_out_owner_can_sell_nothing_and_an_unlimited_one_everything():
    ledger = PrivacyLedger(TERMS, column(1.0, np.inf, 0.0))
    sell(ledger, ALL[:2], column(1.0, 5.0))
    assert ledger.largest_epsilon(ALL).tolist() == [0.0, np.inf, 0.0]
    assert not ledger.affordable(ALL[[0, 2]], TERMS.noise_std(column(1e-3, 1e-3))).any()


def test_releases_about_samples_add_up_by_renyi_and_cost_less():
    ledger = PrivacyLedger(CENTRAL, FREE)
    noise, rate = column(0.5, 0.5, 1.0), column(0.01, 1.0, 0.2)
    for _ in range(20):
        ledger.spend(ALL, noise, rate)
    curves = 20 * subsampled_gaussian_rdp(noise / 0.5, rate, ORDERS)
    expected = epsilon_of_rdp(curves, 1e-5, ORDERS)
    assert ledger.spent[[0, 2]] == pytest.approx(expected[[0, 2]], rel=1e-9)
    assert ledger.spent[1] == pytest.approx(gaussian_epsilon(1 / np.sqrt(20), 1e-5), rel=1e-9)
    assert ledger.spent[0] < 0.1 * ledger.spent[1]
    before = ledger.spent[0]
    ledger.spend(ALL[:1], noise[:1])  # once about everything
    assert ledger.spent[0] == pytest.approx(
        epsilon_of_rdp(curves[0] + gaussian_rdp(1.0, ORDERS), 1e-5, ORDERS), rel=1e-9
    )
    assert ledger.spent[0] > before


def test_laplace_releases_cost_the_smaller_of_their_sum_and_their_curve():
    ledger = PrivacyLedger(LAPLACE, FREE[:2])
    one_curve = laplace_rdp(column(3.0, 0.05), ORDERS)
    for _ in range(100):
        sell(ledger, ALL[:2], column(3.0, 0.05))
    curve = epsilon_of_rdp(100 * one_curve, 1e-5, ORDERS)
    assert ledger.spent == pytest.approx(np.minimum(column(300, 5.0), curve), rel=1e-9)
    assert ledger.spent[1] < 5.0
    few = PrivacyLedger(LAPLACE, FREE[:1])
    for _ in range(2):
        sell(few, ALL[:1], column(0.4))
    assert few.spent[0] == pytest.approx(0.8)


def test_the_classical_formula_is_found_out_at_a_large_epsilon():
    honest = PrivacyLedger(PrivacyTerms(0.5, noise_mechanism="gaussian_classical"), FREE[:1])
    with pytest.warns(UserWarning, match="proved for epsilon up to 1"):
        sell(honest, ALL[:1], column(20.0))
    assert honest.epsilon_sum[0] == pytest.approx(20)
    assert honest.spent[0] > 25, "it leaks more than was sold"


def test_newcomers_get_rows_and_a_stored_ledger_goes_on():
    ledger = PrivacyLedger(CENTRAL, column(9.0))
    ledger.spend(ALL[:1], column(1.0), 0.5)
    ledger.grow(column(4.0, np.inf))
    assert len(ledger) == 3
    assert ledger.spent[1:].tolist() == [0, 0]
    copy = PrivacyLedger(CENTRAL, column())
    copy.load_state(ledger.state())
    for each in (ledger, copy):
        each.spend(ALL, column(1.0, 2.0, 0.3), column(0.5, 1.0, 0.1))
    assert copy.spent.tolist() == ledger.spent.tolist()
    assert copy.largest_epsilon(ALL).tolist() == ledger.largest_epsilon(ALL).tolist()


@pytest.mark.parametrize(
    ("terms", "arguments", "message"),
    [
        (TERMS, (ALL[:1], column(1.0), 0.5), "add_remove neighbours"),
        (LAPLACE, (ALL[:1], column(1.0), 0.5), "only for Gaussian noise"),
        (TERMS, (np.array([1, 1]), column(1.0, 1.0)), "rows given twice"),
        (TERMS, (ALL[:1], column(np.inf)), "noise_std must be a number above 0, got inf"),
        (CENTRAL, (ALL[:1], column(1.0), 0.0), "sampling_rate must be a number above 0"),
    ],
)
def test_what_cannot_be_entered_is_refused(terms, arguments, message):
    ledger = PrivacyLedger(terms, FREE)
    with pytest.raises(ValueError, match=message):
        ledger.spend(*arguments)
    assert not ledger.spent.any()


def test_a_negative_budget_is_refused():
    with pytest.raises(ValueError, match="privacy budget"):
        PrivacyLedger(TERMS, column(1.0, -1.0))
