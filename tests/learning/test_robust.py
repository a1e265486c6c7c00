from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import trim_mean

from learning import robust
from learning.aggregation import fedavg
from learning.robust import (
    ROBUST,
    CentredClipping,
    GeometricMedian,
    Krum,
    Mean,
    Median,
    MultiKrum,
    NormClipping,
    TrimmedMean,
)

cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA")

ZERO = torch.zeros(5, dtype=torch.float64)
SEEDS = st.integers(0, 10**6)


def rows(seed, count=9, size=5):
    """Uploads around 0."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(count, size)))


def data_sizes(seed, count=9):
    return np.random.default_rng(seed + 1).uniform(1, 5, size=count)


def attacked(seed, attackers, magnitude, count=9):
    """Uploads whose last rows were replaced: by one far point, by far points, or by honest rows turned around."""
    uploads, chance = rows(seed, count), np.random.default_rng(seed + 2)
    if attackers:
        forged = [
            torch.full((attackers, 5), magnitude, dtype=torch.float64),
            magnitude * rows(seed + 3, attackers),
            -magnitude * uploads[:attackers],
        ]
        uploads[-attackers:] = forged[chance.integers(3)]
    return uploads


MAGNITUDES = st.sampled_from([0.5, 2.0, 30.0, 1e6, 1e30])


# ---- what each rule computes ----------------------------------------------------------------------------------------


def test_the_mean_is_fedavg_bit_for_bit():
    assert torch.equal(Mean()(rows(0), data_sizes(0), ZERO), fedavg(rows(0), data_sizes(0)))


@pytest.mark.parametrize("count", [1, 2, 7, 8])
def test_the_median_is_that_of_each_coordinate(count):
    uploads = rows(count, count)
    assert np.allclose(Median()(uploads, np.ones(count), ZERO), np.median(uploads.numpy(), axis=0))


@pytest.mark.parametrize(
    ("share", "count", "cut"), [(0.0, 5, 0), (0.2, 5, 1), (0.2, 9, 1), (0.49, 8, 3), (0.29, 100, 29)]
)
def test_the_trimmed_mean_cuts_a_share_of_each_end(share, count, cut):
    uploads = rows(3, count)
    kept = np.sort(uploads.numpy(), axis=0)[cut : count - cut]
    assert np.allclose(TrimmedMean(share)(uploads, np.ones(count), ZERO), kept.mean(axis=0))


def test_the_trimmed_mean_agrees_with_scipy():
    uploads = rows(4, 11)
    assert np.allclose(TrimmedMean(0.2)(uploads, np.ones(11), ZERO), trim_mean(uploads.numpy(), 0.2, axis=0))


def krum_score(uploads, row, byzantine):
    """The smallest sum of squared distances to K - byzantine - 2 others, over all choices of them."""
    others = [other for other in range(len(uploads)) if other != row]
    away = {other: float((uploads[row] - uploads[other]).square().sum()) for other in others}
    return min(sum(away[k] for k in some) for some in combinations(others, len(uploads) - byzantine - 2))


@given(seed=SEEDS, byzantine=st.integers(0, 2))
def test_krum_is_the_upload_with_the_best_score(seed, byzantine):
    uploads = rows(seed, 7)
    scores = [krum_score(uploads, row, byzantine) for row in range(7)]
    assert torch.equal(Krum(byzantine)(uploads, np.ones(7), ZERO), uploads[int(np.argmin(scores))])


@given(seed=SEEDS, keep=st.integers(1, 7))
def test_multi_krum_is_the_mean_of_the_best_scores(seed, keep):
    uploads = rows(seed, 7)
    best = np.argsort([krum_score(uploads, row, 1) for row in range(7)])[:keep]
    assert torch.allclose(MultiKrum(1, keep)(uploads, np.ones(7), ZERO), uploads[best].mean(dim=0))


def test_multi_krum_keeps_all_but_the_attackers_unless_told():
    uploads = rows(5)
    assert torch.equal(MultiKrum(2)(uploads, np.ones(9), ZERO), MultiKrum(2, keep=7)(uploads, np.ones(9), ZERO))


@pytest.mark.parametrize("seed", range(5))
def test_the_geometric_median_is_the_minimiser_that_scipy_finds(seed):
    uploads, weights = rows(seed), data_sizes(seed)

    def objective(point):
        return weights @ np.linalg.norm(uploads.numpy() - point, axis=1)

    found = GeometricMedian(tolerance=1e-12, steps=10_000)(uploads, weights, ZERO).numpy()
    best = minimize(objective, np.zeros(5), method="BFGS", options={"gtol": 1e-9})
    assert np.allclose(found, best.x, atol=1e-5)
    assert objective(found) <= best.fun + 1e-9


def test_the_geometric_median_by_default_is_near_the_best_objective():
    uploads, weights = rows(8), data_sizes(8)
    near, exact = (rule(uploads, weights, ZERO) for rule in (GeometricMedian(), GeometricMedian(1e-13, steps=10_000)))
    cost_near, cost_exact = ((torch.linalg.vector_norm(uploads - v, dim=1).numpy() @ weights) for v in (near, exact))
    assert cost_near <= cost_exact * (1 + 1e-6)


def test_the_geometric_median_of_a_majority_is_the_point_they_share():
    uploads = torch.cat([torch.ones(5, 5, dtype=torch.float64), rows(1, 4)])
    assert torch.allclose(GeometricMedian()(uploads, np.ones(9), ZERO), uploads[0], atol=1e-4)


@pytest.mark.parametrize("count", [3, 5, 10])
def test_an_upload_of_the_current_model_does_not_hold_the_geometric_median_there(count):
    together = torch.full((5,), 3.0, dtype=torch.float64) + rows(count, count)
    uploads = torch.cat([together, ZERO.unsqueeze(0)])

    def objective(point):
        return float(np.linalg.norm(uploads.numpy() - point, axis=1).sum())

    found = GeometricMedian()(uploads, np.ones(count + 1), ZERO).numpy()
    best = min(
        (minimize(objective, start, method="Nelder-Mead", options={"maxiter": 20_000, "fatol": 1e-12, "xatol": 1e-9})
         for start in (together.mean(dim=0).numpy(), np.zeros(5))),
        key=lambda each: each.fun,
    )  # fmt: skip
    assert objective(found) <= best.fun * (1 + 1e-5)
    assert np.linalg.norm(found) > 1.0


def test_the_geometric_median_leaves_an_upload_that_it_starts_on():
    """The weighted mean of these is one of them, and it is not the median."""
    points = torch.tensor([[0.0, 0.0], [4.0, 0.0], [-1.0, 1.0], [-1.0, -1.0], [-2.0, 0.0]], dtype=torch.float64)
    weights = np.array([0.1, 1.0, 1.0, 1.0, 1.0])
    found = GeometricMedian(tolerance=1e-12, steps=1000)(points, weights, ZERO[:2]).numpy()
    best = minimize(lambda v: weights @ np.linalg.norm(points.numpy() - v, axis=1), [-0.5, 0.1], method="Nelder-Mead")
    assert np.allclose(found, best.x, atol=1e-3)
    assert np.linalg.norm(found) > 0.1


def clipped_mean(uploads, weights, centre, limit):
    """The definition, one upload at a time."""
    total = centre.clone()
    for row, weight in zip(uploads, weights / weights.sum(), strict=True):
        change = row - centre
        total += weight * change * min(1.0, limit / float(change.norm()))
    return total


def test_norm_clipping_cuts_changes_to_the_limit():
    uploads, weights = rows(6), data_sizes(6)
    current = rows(7, 1)[0]
    found = NormClipping(limit=1.5)(uploads, weights, current)
    assert torch.allclose(found, clipped_mean(uploads, weights, current, 1.5))


def test_norm_clipping_without_a_limit_takes_the_median_norm():
    uploads, weights = rows(6), data_sizes(6)
    limit = float(np.median(uploads.norm(dim=1)))
    assert torch.allclose(NormClipping()(uploads, weights, ZERO), clipped_mean(uploads, weights, ZERO, limit))


def test_centred_clipping_repeats_around_its_result():
    uploads, weights = rows(6), data_sizes(6)
    expected = ZERO
    for _ in range(3):
        expected = clipped_mean(uploads, weights, expected, 1.5)
    assert torch.allclose(CentredClipping(limit=1.5, steps=3)(uploads, weights, ZERO), expected)


def test_clipping_that_cuts_nothing_is_the_mean():
    uploads, weights = rows(6), data_sizes(6)
    assert torch.allclose(NormClipping(limit=1e6)(uploads, weights, ZERO), fedavg(uploads, weights))


def test_clipping_of_uploads_that_did_not_move_leaves_the_model():
    current = rows(7, 1)[0]
    assert torch.equal(NormClipping()(current.expand(4, -1), np.ones(4), current), current)


# ---- breakdown: what a minority can do ------------------------------------------------------------------------------


@given(seed=SEEDS, magnitude=MAGNITUDES, attackers=st.integers(0, 4))
def test_the_median_stays_within_the_honest_range_below_one_half(seed, magnitude, attackers):
    uploads = attacked(seed, attackers, magnitude)
    honest = uploads[: 9 - attackers]
    found = Median()(uploads, np.ones(9), ZERO)
    assert (found >= honest.min(dim=0).values).all()
    assert (found <= honest.max(dim=0).values).all()


@given(seed=SEEDS, magnitude=MAGNITUDES, attackers=st.integers(0, 2))
def test_the_trimmed_mean_stays_within_the_honest_range_up_to_its_share(seed, magnitude, attackers):
    uploads = attacked(seed, attackers, magnitude)
    honest = uploads[: 9 - attackers]
    found = TrimmedMean(2 / 9)(uploads, np.ones(9), ZERO)
    assert (found >= honest.min(dim=0).values - 1e-12).all()
    assert (found <= honest.max(dim=0).values + 1e-12).all()


@given(seed=SEEDS, magnitude=MAGNITUDES, attackers=st.integers(0, 3))
def test_krum_chooses_a_point_as_near_to_the_honest_as_an_honest_one(seed, magnitude, attackers):
    # The chosen score is at most the best honest one, and K - byzantine - 2 > byzantine neighbours count, so at least
    # one of them is honest: its squared distance is at most the largest score of honest rows among themselves.
    uploads = attacked(seed, attackers, magnitude)
    honest = uploads[: 9 - attackers]
    found = Krum(byzantine=3)(uploads, np.ones(9), ZERO)
    apart = torch.cdist(honest, honest).square().sort(dim=1).values
    best_among_the_honest = apart[:, 1:5].sum(dim=1).min()
    nearest = (honest - found).square().sum(dim=1).min()
    assert nearest <= best_among_the_honest + 1e-9


@given(seed=SEEDS, magnitude=MAGNITUDES, attackers=st.integers(0, 4))
def test_the_geometric_median_is_bounded_by_the_honest_spread(seed, magnitude, attackers):
    # For honest points within r of z and a share a of attackers, the objective at the median v is no higher than at z:
    # (1 - a) (D - r) - a D <= (1 - a) r with D = ||v - z||, so D <= 2 (1 - a) / (1 - 2 a) r.
    uploads = attacked(seed, attackers, magnitude)
    honest = uploads[: 9 - attackers]
    centre = honest.mean(dim=0)
    radius = float((honest - centre).norm(dim=1).max())
    share = attackers / 9
    found = GeometricMedian(tolerance=1e-9, steps=2000)(uploads, np.ones(9), ZERO)
    assert float((found - centre).norm()) <= 2 * (1 - share) / (1 - 2 * share) * radius


@given(seed=SEEDS, magnitude=MAGNITUDES, attackers=st.integers(0, 8), limit=st.floats(1e-3, 5.0))
def test_clipping_never_moves_the_model_further_than_its_limit(seed, magnitude, attackers, limit):
    uploads = attacked(seed, attackers, magnitude)
    assert float(NormClipping(limit)(uploads, data_sizes(seed), ZERO).norm()) <= limit + 1e-9
    assert float(CentredClipping(limit, steps=3)(uploads, data_sizes(seed), ZERO).norm()) <= 3 * limit + 1e-9


@given(seed=SEEDS, magnitude=MAGNITUDES, attackers=st.integers(0, 4))
def test_adaptive_clipping_never_moves_the_model_further_than_the_furthest_honest_upload(seed, magnitude, attackers):
    uploads = attacked(seed, attackers, magnitude)
    furthest = float(uploads[: 9 - attackers].norm(dim=1).max())
    assert float(NormClipping()(uploads, np.ones(9), ZERO).norm()) <= furthest + 1e-9


@given(seed=SEEDS, limit=st.floats(0.1, 5.0))
def test_attackers_shift_a_clipped_mean_by_at_most_twice_their_weight_times_the_limit(seed, limit):
    weights = data_sizes(seed)
    share = weights[-3:].sum() / weights.sum()
    rule = NormClipping(limit)
    without = rule(rows(seed), weights, ZERO)
    with_them = rule(attacked(seed, 3, 1e6), weights, ZERO)
    assert float((with_them - without).norm()) <= 2 * share * limit + 1e-9


def test_one_upload_moves_the_plain_mean_anywhere():
    uploads = attacked(2, 1, 1e6)
    assert float(Mean()(uploads, np.ones(9), ZERO).norm()) > 1e4


# ---- laws of all rules ----------------------------------------------------------------------------------------------

RULES = [*(ROBUST[name]() for name in ROBUST), NormClipping(1.0), CentredClipping(0.7), TrimmedMean(0.3), Krum(3)]


@pytest.mark.parametrize("rule", RULES, ids=str)
@given(seed=SEEDS)
def test_the_order_of_uploads_does_not_matter(rule, seed):
    uploads, weights = rows(seed), data_sizes(seed)
    order = np.random.default_rng(seed).permutation(9)
    assert torch.allclose(rule(uploads, weights, ZERO), rule(uploads[order], weights[order], ZERO), atol=1e-9)


@pytest.mark.parametrize("rule", RULES, ids=str)
@given(seed=SEEDS)
def test_moving_everything_moves_the_result(rule, seed):
    uploads, weights, shift = rows(seed), data_sizes(seed), rows(seed + 9, 1)[0]
    assert torch.allclose(rule(uploads + shift, weights, ZERO + shift), rule(uploads, weights, ZERO) + shift)


@pytest.mark.parametrize("rule", RULES, ids=str)
@given(seed=SEEDS)
def test_the_result_lies_within_the_range_of_uploads_and_model(rule, seed):
    uploads = rows(seed)
    everything = torch.cat([uploads, ZERO[None]])
    found = rule(uploads, data_sizes(seed), ZERO)
    assert (found >= everything.min(dim=0).values - 1e-9).all()
    assert (found <= everything.max(dim=0).values + 1e-9).all()


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_equal_uploads_are_their_own_aggregate(rule):
    model = rows(3, 1)[0]
    assert torch.allclose(rule(model.expand(9, -1), data_sizes(3), model), model)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_uploads_are_left_alone_and_their_type_is_kept(rule):
    uploads = rows(3).float()
    before = uploads.clone()
    found = rule(uploads, data_sizes(3), ZERO.float())
    assert torch.equal(uploads, before)
    assert found.dtype == torch.float32
    found += 1
    assert torch.equal(uploads, before)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_slices_give_the_same_as_one_piece(rule, monkeypatch):
    whole = rule(rows(3), data_sizes(3), ZERO)
    monkeypatch.setattr(robust, "NUMBERS_AT_ONCE", 11)
    assert torch.allclose(rule(rows(3), data_sizes(3), ZERO), whole, atol=1e-12)


@cuda
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_gpu_finds_the_same(rule):
    there = rule(rows(3).cuda(), data_sizes(3), ZERO.cuda())
    assert there.is_cuda
    assert torch.allclose(there.cpu(), rule(rows(3), data_sizes(3), ZERO))


# ---- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_too_few_uploads_are_refused_with_the_number_needed(rule):
    enough = rows(0, rule.least)
    assert torch.isfinite(rule(enough, np.ones(rule.least), ZERO)).all()
    with pytest.raises(ValueError, match=f"needs at least {rule.least} uploads, got {rule.least - 1}"):
        rule(enough[:-1], np.ones(rule.least - 1), ZERO)


def test_krum_needs_more_than_two_honest_per_attacker():
    assert Krum(2).least == 7
    assert MultiKrum(1, keep=8).least == 8


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_uploads_that_are_no_numbers_are_refused(rule):
    uploads = rows(0)
    uploads[4, 2] = torch.nan
    with pytest.raises(ValueError, match="NaN or infinite"):
        rule(uploads, np.ones(9), ZERO)


def test_a_weight_for_each_upload_is_asked_for():
    with pytest.raises(ValueError, match="9 uploads have 8 weights"):
        Median()(rows(0), np.ones(8), ZERO)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("trimmed_mean", {"share": 0.5}),
        ("trimmed_mean", {"share": float("nan")}),
        ("krum", {"byzantine": -1}),
        ("multi_krum", {"byzantine": -1}),
        ("multi_krum", {"keep": 0}),
        ("geometric_median", {"tolerance": -1.0}),
        ("geometric_median", {"steps": 0}),
        ("geometric_median", {"smoothing": 0.0}),
        ("norm_clipping", {"limit": float("nan")}),
        ("centred_clipping", {"limit": -1.0}),
        ("centred_clipping", {"steps": 0}),
    ],
)
def test_parameters_out_of_range_are_refused_by_name(name, parameters):
    with pytest.raises(ValueError, match=f"^{next(iter(parameters))} must be"):
        ROBUST[name](**parameters)
