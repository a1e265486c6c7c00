"""Weights in files: the safetensors format, what is refused, and what the shipped ones achieve."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest
import torch
from auction_oracles import total_cost, uniform_bids

from learning.streams import Streams
from market.privacy_auction import RULES, settle
from market.privacy_auction.networks.attack import TEST_ATTACK, best_misreports
from market.privacy_auction.networks.columns import regret
from market.privacy_auction.networks.game import Profile
from market.privacy_auction.networks.populations import draw
from market.privacy_auction.networks.shipped import NETWORKS, shipped, weights_file, with_weights
from market.privacy_auction.rules import NEURAL
from market.privacy_auction.tensors import BadTensorFile, read_tensors, write_tensors

TENSORS = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(1.5, dtype=np.float32)}
LIMIT = 0.01
FACTORS = (0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0)


# ---- the format ---------------------------------------------------------------------------------------------------


def test_tensors_and_metadata_come_back_as_they_were_written(tmp_path):
    write_tensors(tmp_path / "x.safetensors", TENSORS, {"seed": "3"})
    values, metadata = read_tensors(tmp_path / "x.safetensors")
    assert metadata == {"seed": "3"}
    assert set(values) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert values[name].shape == tensor.shape
        np.testing.assert_array_equal(values[name], tensor)
    assert [path.name for path in tmp_path.iterdir()] == ["x.safetensors"]


def test_the_format_is_that_of_the_safetensors_library(tmp_path):
    numpy_side = pytest.importorskip("safetensors.numpy")
    ours, theirs = tmp_path / "ours.safetensors", tmp_path / "theirs.safetensors"
    write_tensors(ours, TENSORS, {"seed": "3"})
    read = numpy_side.load_file(ours)
    assert all(np.array_equal(read[name], tensor) for name, tensor in TENSORS.items())
    numpy_side.save_file(TENSORS, theirs, metadata={"seed": "3"})
    values, metadata = read_tensors(theirs)
    assert metadata == {"seed": "3"}
    assert all(np.array_equal(values[name], tensor) for name, tensor in TENSORS.items())


@pytest.mark.parametrize("cut", [0, 5, 8, 60, -1])
def test_a_file_that_was_cut_short_is_refused(tmp_path, cut):
    file = tmp_path / "x.safetensors"
    write_tensors(file, TENSORS, {})
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(BadTensorFile, match="not a safetensors file"):
        read_tensors(file)


@pytest.mark.parametrize(
    "header", ["[]", "{", '{"a": 3}', '{"a": {"dtype": "F64", "shape": [1], "data_offsets": [0, 8]}}']
)
def test_a_header_that_says_something_else_is_refused(tmp_path, header):
    file = tmp_path / "x.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header.encode() + bytes(8))
    with pytest.raises(BadTensorFile, match="not a safetensors file"):
        read_tensors(file)


def test_weights_of_another_network_or_shape_are_refused():
    regretnet = read_tensors(weights_file("regretnet"))
    with pytest.raises(BadTensorFile, match="weights of regretnet, not of dm_regretnet"):
        with_weights("dm_regretnet", regretnet)
    with pytest.raises(BadTensorFile, match="weights that do not fit dm_regretnet"):
        with_weights("dm_regretnet", regretnet._replace(metadata={}))


# ---- what is shipped ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NEURAL)
def test_every_shipped_file_is_small_and_names_the_command_that_made_it(name):
    assert set(NEURAL) == set(NETWORKS)
    assert weights_file(name).stat().st_size < 100_000
    metadata = read_tensors(weights_file(name)).metadata
    assert metadata["network"] == name
    words = shlex.split(metadata["command"])
    assert words[:4] == ["datagora", "auction", "train", name]
    assert words[words.index("--seed") + 1] == metadata["seed"]
    assert json.loads(metadata["plan"])["seed"] == int(metadata["seed"])


def population_regret(owners, profiles, factor):
    """Mean regret over mean cost on unseen profiles under the test attack, valued exactly."""
    network = shipped("mfg_regretnet")
    drawn = draw(Streams(4711), int(1000 * factor), "uniform", profiles, owners, (factor, factor))
    profile = Profile(torch.from_numpy(drawn.report), torch.from_numpy(drawn.budget))
    starts = torch.from_numpy(np.random.default_rng(0).uniform(size=(TEST_ATTACK.starts, *drawn.report.shape)))
    _, gain = best_misreports(network, profile, TEST_ATTACK._replace(mode="exact"), starts)
    with torch.no_grad():
        sold = network(profile)
    valuation, cap = profile.report.unbind(dim=-1)
    assert (sold.payment - valuation * sold.epsilon).min() >= 0
    assert (sold.payment.sum(dim=-1) <= profile.budget).all()
    assert (sold.epsilon <= cap).all()
    return float(gain.mean() / (valuation * sold.epsilon).mean())


@pytest.mark.parametrize("factor", FACTORS)
def test_lies_gain_less_than_a_hundredth_of_cost_in_a_market_of_ten(factor):
    assert population_regret(10, 12, factor) < LIMIT


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("owners", [10, 20, 50])
def test_they_do_with_grid_and_gradient_and_in_larger_markets(owners, factor):
    bids = uniform_bids(owners, 3)
    assert regret(shipped("mfg_regretnet"), bids, factor * total_cost(bids)).mean < LIMIT


@pytest.mark.slow
@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("owners", [200, 1000])
def test_they_do_in_the_largest_markets(owners, factor):
    bids = uniform_bids(owners, 3)
    assert regret(shipped("mfg_regretnet"), bids, factor * total_cost(bids)).mean < LIMIT


def test_the_trained_auction_buys_most_of_what_a_truthful_one_can():
    share, ceiling = [], []
    for seed in range(10):
        bids = uniform_bids(50, seed)
        budget = 0.6 * total_cost(bids)
        share.append(settle(bids, RULES["mfg_regretnet"](bids, budget)).epsilon_share)
        ceiling.append(settle(bids, RULES["first_best"](bids, budget)).epsilon_share)
    assert 0.6 < np.mean(share) / np.mean(ceiling) < 1.0
