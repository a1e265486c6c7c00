"""The grid of real and generated images shows the very images that it was given."""

import io

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from scenarios.plots.generated import GENERATED, REAL, generated_images


def grey(count: int, value: float, side: int = 8) -> np.ndarray:
    return np.full((count, 1, side, side), value, dtype=np.float32)


def drawn(ax) -> np.ndarray:
    """Red, green and blue of the one image on the axes."""
    (image,) = ax.images
    return np.asarray(image.get_array(), dtype=float)


REAL_IMAGES, REAL_LABELS = np.concatenate([grey(1, 0.0), grey(4, 1.0)]), np.array([0, 1, 1, 1, 1])


def test_every_class_has_a_row_of_real_and_generated_images():
    images, labels = np.concatenate([grey(2, 0.25), grey(1, 0.5)]), np.array([1, 1, 2])
    ax = generated_images(images, labels, REAL_IMAGES, REAL_LABELS)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["0", "1", "2"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["real", "generated"]
    picture = drawn(ax)
    rows = [round(tick) for tick in ax.get_yticks()]
    first_made = REAL * 9 - 1 + 6 + 4
    assert [picture[row, 4, 0] for row in rows] == [0.0, 1.0, 1.0], "black, white, and no real image of class 2"
    assert [picture[row, first_made, 0] for row in rows] == [1.0, 0.25, 0.5], "none, then what was given"
    assert picture.shape == (3 * 8 + 2, (REAL + GENERATED) * 8 + (REAL + GENERATED - 2) + 6, 3)


def test_values_outside_the_range_of_the_real_images_are_black_or_white():
    ax = generated_images(grey(2, 7.0), np.array([0, 1]), REAL_IMAGES, REAL_LABELS)
    assert drawn(ax).max() == 1.0
    assert drawn(ax).min() == 0.0


def test_colours_stay_colours():
    red = np.zeros((2, 3, 8, 8))
    red[:, 0] = 1.0
    ax = generated_images(red, np.array([0, 1]), red, np.array([0, 1]), names=("cat", "dog"))
    assert drawn(ax)[4, 4].tolist() == [1.0, 0.0, 0.0]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["cat", "dog"]


def test_tables_are_not_shown():
    table = np.zeros((2, 5))
    ax = generated_images(table, np.zeros(2, int), table, np.zeros(2, int))
    assert [text.get_text() for text in ax.texts] == ["not images"]


@pytest.mark.parametrize("side", [8, 28])
def test_it_draws_on_axes_that_are_given_and_changes_no_setting(side):
    before = dict(matplotlib.rcParams)
    given = Figure().add_subplot()
    images = grey(2, 0.5, side), np.array([0, 1])
    assert generated_images(*images, *images, given) is given
    assert given.figure is not None
    given.figure.savefig(io.BytesIO(), format="png", dpi=40)
    assert dict(matplotlib.rcParams) == before
