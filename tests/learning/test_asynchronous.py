import numpy as np
import pytest
import torch

from learning.aggregation import buffered
from learning.algorithms import Scaffold
from learning.asynchronous import MERGING, FedAsync, FedBuff
from learning.robust import Mean, Median
from learning.server_rules import ServerRules

CHANCE = torch.Generator().manual_seed(1)
UPLOADS = torch.randn(3, 5, dtype=torch.float64, generator=CHANCE)
BASES = torch.randn(3, 5, dtype=torch.float64, generator=CHANCE)
CURRENT = torch.randn(5, dtype=torch.float64, generator=CHANCE)
WEIGHTS, DISCOUNT = np.array([2.0, 5.0, 3.0]), np.array([1.0, 0.5, 0.25])


def test_fedbuff_adds_the_mean_of_the_discounted_updates():
    found = FedBuff()(CURRENT, UPLOADS, BASES, WEIGHTS, DISCOUNT, Mean())
    assert torch.equal(found, buffered(CURRENT, UPLOADS, BASES, WEIGHTS, DISCOUNT))


def test_a_robust_rule_sees_the_model_that_each_discounted_update_would_make():
    found = FedBuff()(CURRENT, UPLOADS, BASES, WEIGHTS, DISCOUNT, Median())
    changes = torch.stack([DISCOUNT[k] * (UPLOADS[k] - BASES[k]) for k in range(3)])
    assert torch.allclose(found, CURRENT + changes.median(dim=0).values)


def test_an_outlier_does_not_move_a_buffer_that_takes_the_median():
    poisoned = UPLOADS.clone()
    poisoned[1] = 1e6
    found = FedBuff()(CURRENT, poisoned, BASES, WEIGHTS, DISCOUNT, Median())
    assert (found - CURRENT).abs().max() < 10


def test_fedasync_goes_part_of_the_way_to_one_upload_after_the_other():
    expected = CURRENT
    for upload, share in zip(UPLOADS, 0.6 * DISCOUNT, strict=True):
        expected = (1 - share) * expected + share * upload
    assert torch.allclose(FedAsync(mixing=0.6)(CURRENT, UPLOADS, BASES, WEIGHTS, DISCOUNT, Mean()), expected)


def test_fedasync_leaves_out_an_upload_without_weight():
    found = FedAsync()(CURRENT, UPLOADS[:1], BASES[:1], np.zeros(1), np.ones(1), Mean())
    assert torch.equal(found, CURRENT)


@pytest.mark.parametrize("name", MERGING)
def test_no_merging_changes_what_it_is_given(name):
    before = CURRENT.clone(), UPLOADS.clone(), BASES.clone()
    MERGING[name]()(CURRENT, UPLOADS, BASES, WEIGHTS, DISCOUNT, Mean())
    assert all(map(torch.equal, before, (CURRENT, UPLOADS, BASES)))


def test_rules_that_cannot_merge_uploads_of_different_ages_are_refused():
    ServerRules(aggregation=Median()).check_asynchronous()
    with pytest.raises(ValueError, match="synchronous rounds"):
        ServerRules(algorithm=Scaffold()).check_asynchronous()
    with pytest.raises(ValueError, match="one at a time"):
        ServerRules(merging=FedAsync(), aggregation=Median()).check_asynchronous()


@pytest.mark.parametrize("mixing", [0.0, 1.5, float("nan")])
def test_a_mixing_share_that_is_none_is_refused(mixing):
    with pytest.raises(ValueError, match="mixing must be"):
        FedAsync(mixing)
