from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from agents.strategies import make_strategy
from agents.strategies.base import Observation
from learning.uploads import Upload
from market.mechanism import DATA_SIZE

Observe = Callable[..., Observation]


@pytest.mark.parametrize(
    ("name", "upload"),
    [
        ("free_rider_global", Upload.GLOBAL_COPY),
        ("free_rider_replay", Upload.REPLAY),
        ("free_rider_noise", Upload.NOISE),
        ("free_rider_copy", Upload.PEER_COPY),
    ],
)
def test_each_free_rider_sends_its_forgery(name: str, upload: Upload, observe: Observe) -> None:
    work = make_strategy(name, {}).train(observe())
    assert work.upload.tolist() == [upload] * 12
    assert work.scale.tolist() == [1.0] * 12


def test_noise_is_scaled(observe: Observe) -> None:
    assert make_strategy("free_rider_noise", {"scale": 0.25}).train(observe()).scale.tolist() == [0.25] * 12


def test_free_riders_take_part_where_the_honest_stay_away(observe: Observe) -> None:
    seen = observe()
    assert not make_strategy("honest", {}).takes_part(seen).all()
    assert make_strategy("free_rider_global", {}).takes_part(seen).all()


def test_free_riders_offer_what_an_honest_owner_would_and_everything_where_it_would_not(observe: Observe) -> None:
    seen = observe()
    offered = make_strategy("free_rider_copy", {}).offer(seen)
    advised = seen.advice.participate
    np.testing.assert_array_equal(offered[advised], seen.advice.data_share[advised])
    np.testing.assert_array_equal(offered[~advised], 1.0)


def test_the_claimed_data_size_can_be_inflated(observe: Observe) -> None:
    seen = observe()
    claims = make_strategy("free_rider_replay", {"claim_factor": 3.0}).report(seen)
    np.testing.assert_array_equal(claims[DATA_SIZE], 3.0 * seen.own.data_size)


def test_a_stealthy_rider_may_train_honestly_until_enough_of_its_uploads_have_arrived(observe: Observe) -> None:
    seen = observe()
    rider = make_strategy("free_rider_stealthy", {"train_rounds": 2, "scale": 0.3})
    early = seen.own.rounds_taken < 2
    assert early.any()
    assert not early.all()
    work, honest = rider.train(seen), make_strategy("honest", {}).train(seen)
    np.testing.assert_array_equal(work.upload, np.where(early, Upload.TRAINED, Upload.OWN_LAST))
    np.testing.assert_array_equal(work.data_share, np.where(early, honest.data_share, 0.0))
    np.testing.assert_array_equal(work.scale, np.where(early, 1.0, 0.3))
    np.testing.assert_array_equal(rider.takes_part(seen), ~early | seen.advice.participate)


@pytest.mark.parametrize("rounds", [-1, 1.5, True])
def test_rounds_of_training_are_a_whole_number(rounds: object) -> None:
    with pytest.raises(ValueError, match=r"train_rounds is .*, expected a whole number at least 0"):
        make_strategy("free_rider_stealthy", {"train_rounds": rounds})


@pytest.mark.parametrize(("params", "field"), [({"scale": 0.0}, "scale"), ({"claim_factor": -1.0}, "claim_factor")])
def test_an_impossible_parameter_is_named(params: dict[str, float], field: str) -> None:
    with pytest.raises(ValueError, match=f"{field} is .*, expected a finite number above 0"):
        make_strategy("free_rider_noise", params)
