"""Image sets with natural groups, made of real images: domains that look different, writers with different hands."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from learning.data import load_dataset
from learning.data.domains import DOMAINS, dealt_domains, in_domains
from learning.data.writers import WRITERS, Hands, hands, written

SETS = ("digits_domains", "digits_writers")


def hands_of_one(slant=0.0, down=0.0, across=0.0, stretch=1.0, pen=0.0) -> Hands:
    """A single writer; by default one that changes nothing."""
    return Hands(*(np.array([value]) for value in (slant, down, across, stretch, pen, 1.0)))


@pytest.fixture
def stroke() -> np.ndarray:
    """An upright line in the middle of one image of 15 x 15."""
    image = np.zeros((1, 1, 15, 15), dtype=np.float32)
    image[0, 0, 3:12, 7] = 1.0
    return image


def middle_of(row: np.ndarray) -> float:
    """Where the ink of a row of pixels is on average."""
    return float((row * np.arange(len(row))).sum() / row.sum())


@pytest.mark.parametrize("name", SETS)
def test_every_image_of_the_base_is_there_once_with_its_label(name, digits) -> None:
    loaded = load_dataset(name)
    assert loaded.x_train.shape == digits.x_train.shape
    assert loaded.x_test.shape == digits.x_test.shape
    assert loaded.x_train.dtype == np.float32
    assert np.array_equal(loaded.y_train, digits.y_train)
    assert np.array_equal(loaded.y_test, digits.y_test)
    assert np.isfinite(loaded.x_train).all()


@pytest.mark.parametrize("name", SETS)
def test_it_is_the_same_data_every_time(name) -> None:
    prints = {hashlib.sha256(load_dataset(name).x_train.tobytes()).hexdigest() for _ in range(2)}
    assert len(prints) == 1


# ---- domains --------------------------------------------------------------------------------------------------------


def test_domains_are_equally_large_and_alike_in_labels() -> None:
    loaded = load_dataset("digits_domains")
    counts = np.array([np.bincount(loaded.y_train[loaded.groups == domain]) for domain in range(len(DOMAINS))])
    assert np.ptp(counts, axis=0).max() <= 1
    assert np.ptp(counts.sum(axis=1)) <= loaded.classes


def test_a_plain_image_and_a_negative_one_are_mirror_images_in_brightness(digits) -> None:
    domain = dealt_domains(digits.y_train)
    loaded = in_domains("x", digits)
    for number, sign in ((0, 1.0), (1, -1.0)):
        ours, raw = loaded.x_train[domain == number], digits.x_train[domain == number]
        assert np.corrcoef(ours.ravel(), raw.ravel())[0, 1] == pytest.approx(sign, abs=1e-5)


def test_a_turned_image_is_a_quarter_turn_of_the_original() -> None:
    image = np.arange(12, dtype=np.float32).reshape(1, 1, 3, 4)
    square = image[..., :3]
    assert np.array_equal(DOMAINS["turned"](square)[0, 0], np.rot90(square[0, 0]))
    assert np.array_equal(DOMAINS["turned"](image)[0, 0], image[0, 0, ::-1, ::-1])


def test_edges_of_an_even_image_are_nothing_and_of_a_ramp_its_slope() -> None:
    even = np.full((1, 1, 8, 8), 3.0, dtype=np.float32)
    assert np.abs(DOMAINS["edges"](even)).max() == 0.0
    ramp = np.broadcast_to(3 * np.arange(8) + 4 * np.arange(8)[:, None], (1, 1, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(DOMAINS["edges"](ramp), 5.0, rtol=1e-6)


# ---- writers --------------------------------------------------------------------------------------------------------


def test_a_hand_without_habits_changes_nothing(stroke) -> None:
    np.testing.assert_allclose(written(stroke, np.zeros(1, dtype=np.int64), hands_of_one()), stroke, atol=1e-6)


def test_a_slanted_hand_leans_the_stroke(stroke) -> None:
    leaning = written(stroke, np.zeros(1, dtype=np.int64), hands_of_one(slant=0.4))[0, 0]
    tops, bottoms = middle_of(leaning[4]), middle_of(leaning[10])
    assert tops - bottoms == pytest.approx(0.4 * 6, abs=0.05)


def test_a_hand_moves_the_stroke_by_a_share_of_the_height(stroke) -> None:
    moved = written(stroke, np.zeros(1, dtype=np.int64), hands_of_one(across=0.2))[0, 0]
    assert middle_of(moved[7]) == pytest.approx(7 + 0.2 * 15, abs=0.05)


def test_thick_pens_leave_more_ink_and_thin_ones_less(stroke) -> None:
    ink = [written(stroke, np.zeros(1, dtype=np.int64), hands_of_one(pen=pen)).sum() for pen in (-0.5, 0.0, 0.5)]
    assert ink[0] < ink[1] < ink[2]


def test_the_test_half_is_written_by_other_hands() -> None:
    loaded = load_dataset("digits_writers")
    assert np.array_equal(np.unique(loaded.groups), np.arange(WRITERS))
    of = hands()
    assert len(np.unique(of.slant)) == 2 * WRITERS
    assert of.size.max() / of.size.min() < 3.0


def test_a_writer_is_alike_in_itself_and_unlike_others() -> None:
    """Pictures of one class by one writer are nearer to each other than pictures of that class by two writers."""
    loaded = load_dataset("digits_writers")
    within, between = [], []
    for label in range(10):
        means = []
        for writer in range(6):
            own = loaded.x_train[(loaded.groups == writer) & (loaded.y_train == label)]
            if len(own) >= 4:
                half = len(own) // 2
                means.append((own[:half].mean(axis=0), own[half:].mean(axis=0)))
        within += [np.linalg.norm(a - b) for a, b in means]
        between += [np.linalg.norm(a[0] - b[1]) for a in means for b in means if a is not b]
    assert np.mean(within) < 0.9 * np.mean(between)
