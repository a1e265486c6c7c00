"""What every generator keeps: shape, range, repeatability, classes; and that what it makes can be learnt from."""

from typing import Any

import numpy as np
import pytest
import torch
from learning_samples import blobs

from learning.batches import LocalTraining
from learning.data import Dataset, load_dataset
from learning.evaluation import evaluate
from learning.generation import GENERATORS, Complemented, Fitted, UnknownClass, UnsupportedData, generator_for
from learning.generation.unet import UNet, twice_as_large
from learning.models import FlatModel
from learning.registry import UnknownName
from learning.shards import Shards
from learning.streams import Streams
from learning.training import train_cohort

QUICK: dict[str, dict[str, Any]] = {
    "gaussian_mixture": {},
    "vae": {"steps": 250, "hidden": 64},
    "diffusion": {"steps": 300, "width": 8, "batch_size": 24, "rate": 8e-3, "sampling_steps": 6},
}
"""Parameters with which a generator is trained in a second."""

SHORT: dict[str, dict[str, Any]] = {"gaussian_mixture": {}, "vae": {"steps": 5}, "diffusion": {"steps": 5}}
"""Parameters for tests that do not look at what is made."""

every_generator = pytest.mark.parametrize("name", list(GENERATORS))
MAKES_TABLES = ["gaussian_mixture", "vae"]


def fitted(name: str, dataset: Dataset, streams: Streams, counter: int = 3, **changes: Any) -> Fitted:
    generator = generator_for(name, dataset, **(QUICK[name] | changes))
    x, y = torch.from_numpy(dataset.x_train), torch.from_numpy(dataset.y_train)
    return generator.fit(x, y, dataset.classes, 11, counter, streams)


@pytest.fixture(scope="module")
def some_digits(digits: Dataset) -> Dataset:
    return digits.first(400, None)


@pytest.fixture(scope="module")
def trained(some_digits: Dataset) -> dict[str, Fitted]:
    """Each generator, trained on digits."""
    return {name: fitted(name, some_digits, Streams(7)) for name in GENERATORS}


def learnt_from(dataset: Dataset, x: torch.Tensor, y: torch.Tensor) -> float:
    """Test accuracy of a network that saw nothing but these samples."""
    model = FlatModel.for_dataset("mlp", dataset)
    one = np.array([len(y)])
    shards = Shards(x, y, one, np.ones((1, dataset.classes)) / dataset.classes, np.ones(1), np.zeros(1))
    plan, streams = LocalTraining(epochs=15, batch_size=20, learning_rate=0.2), Streams(1)
    weights = train_cohort(
        model, model.initial(streams), shards, np.zeros(1, int), one, np.zeros(1, int), 0, plan, streams
    )
    return evaluate(
        model, weights[0], torch.from_numpy(dataset.x_test), torch.from_numpy(dataset.y_test), dataset.classes
    ).accuracy


@every_generator
def test_a_network_that_saw_only_generated_digits_reads_real_ones(name, trained, digits):
    labels = np.arange(800) % 10
    x = trained[name].sample(labels, 11, 0, Streams(7))
    assert learnt_from(digits, x, torch.from_numpy(labels)) > 0.8


@every_generator
def test_samples_have_the_shape_the_type_and_the_range_of_the_data(name, trained, some_digits):
    x = trained[name].sample(np.arange(10), 11, 0, Streams(7))
    assert x.shape == (10, 1, 8, 8)
    assert x.dtype == torch.float32
    assert float(x.min()) >= some_digits.x_train.min()
    assert float(x.max()) <= some_digits.x_train.max()
    assert float(x.std()) > 0.2, "not all the same grey"


@every_generator
def test_fitting_and_sampling_again_gives_the_same_samples(name, some_digits):
    labels = np.array([1, 5, 5, 0])
    first = fitted(name, some_digits, Streams(7), **SHORT[name]).sample(labels, 11, 4, Streams(7))
    torch.manual_seed(0)  # what others do with the global generator has no effect
    again = fitted(name, some_digits, Streams(7), **SHORT[name])
    assert torch.equal(again.sample(labels, 11, 4, Streams(7)), first)
    for owner, counter, seed in ((12, 4, 7), (11, 5, 7), (11, 4, 8)):
        assert not torch.equal(again.sample(labels, owner, counter, Streams(seed)), first)
    assert not torch.equal(first[1], first[2]), "samples of a class differ"


@every_generator
def test_no_global_generator_is_touched(name, trained):
    torch.manual_seed(5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    trained[name].sample(np.arange(3), 0, 0, Streams(1))
    fitted(name, blobs((1, 8, 8), train=60), Streams(2), **SHORT[name])
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


@every_generator
def test_the_first_samples_do_not_depend_on_how_many_follow(name, trained):
    labels = np.arange(30) % 10
    many = trained[name].sample(labels, 11, 0, Streams(7))
    few = trained[name].sample(labels[:7], 11, 0, Streams(7))
    assert torch.allclose(many[:7], few, atol=1e-4)
    assert trained[name].sample(labels[:0], 11, 0, Streams(7)).shape == (0, 1, 8, 8)


@pytest.mark.parametrize("name", MAKES_TABLES)
def test_a_table_keeps_means_and_spreads_of_its_classes(name, streams):
    dataset = blobs()
    x = fitted(name, dataset, streams, **({"steps": 1000} if name == "vae" else {})).sample(
        np.repeat([0, 1, 2], 1000), 11, 0, streams
    )
    for label in range(3):
        real = dataset.x_train[dataset.y_train == label]
        made = x[label * 1000 : (label + 1) * 1000].numpy()
        assert made.mean(axis=0) == pytest.approx(real.mean(axis=0), abs=0.35)
        assert made.std(axis=0) == pytest.approx(real.std(axis=0), rel=0.35)


@pytest.mark.parametrize("name", MAKES_TABLES)
def test_a_feature_that_never_varies_stays_as_it_is(name, streams):
    dataset = blobs()
    dataset.x_train[:, 2] = 4.0
    assert (fitted(name, dataset, streams).sample(np.zeros(20, int), 0, 0, streams)[:, 2] == 4.0).all()


@every_generator
def test_one_sample_is_enough_to_be_trained_on(name, streams):
    dataset = blobs((1, 8, 8), train=1, classes=2)
    x = fitted(name, dataset, streams, **SHORT[name]).sample(np.zeros(3, int), 0, 0, streams)
    assert x.shape == (3, 1, 8, 8)
    assert torch.isfinite(x).all()


def test_images_of_odd_sides_and_several_channels_can_be_made(streams):
    dataset = blobs((3, 9, 13), train=40)
    for name in GENERATORS:
        made = fitted(name, dataset, streams, **SHORT[name]).sample(np.array([0, 2]), 0, 0, streams)
        assert made.shape == (2, 3, 9, 13)


@pytest.mark.parametrize("side", [4, 7, 28, 32])
def test_the_network_gives_images_of_the_size_it_was_given(side):
    network = UNet(1, 5, side, 8)
    assert network(torch.randn(2, 1, side, side), torch.rand(2), torch.eye(5)[:2]).shape == (2, 1, side, side)


def test_every_pixel_becomes_four():
    small = torch.arange(6.0).reshape(1, 1, 2, 3)
    assert torch.equal(twice_as_large(small, 3, 6), torch.nn.functional.interpolate(small, scale_factor=2)[:, :, :3])


# ---- classes that were never seen ---------------------------------------------------------------------------------


def part_of(dataset: Dataset, classes: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    rows = np.isin(dataset.y_train, classes)
    return torch.from_numpy(dataset.x_train[rows]), torch.from_numpy(dataset.y_train[rows])


@pytest.mark.parametrize("name", MAKES_TABLES)
def test_a_generator_cannot_make_a_class_that_its_owner_never_had(name, streams):
    dataset = blobs()
    own = GENERATORS[name](**QUICK[name]).fit(*part_of(dataset, [0, 2]), 3, 0, 0, streams)
    assert own.known.tolist() == [True, False, True]
    with pytest.raises(UnknownClass, match="no sample of class 1 was there"):
        own.sample(np.array([0, 1]), 0, 0, streams)
    with pytest.raises(UnknownClass, match="class 3"):
        own.sample(np.array([3]), 0, 0, streams)


def test_a_shared_generator_makes_the_classes_that_the_own_one_lacks(streams):
    dataset = blobs()
    mixture = GENERATORS["gaussian_mixture"]()
    own = mixture.fit(*part_of(dataset, [0]), 3, 4, 0, streams)
    shared = mixture.fit(*part_of(dataset, [0, 1]), 3, 0, 0, streams)
    both = Complemented(own, shared)
    assert both.known.tolist() == [True, True, False]
    labels = np.array([1, 0, 1, 0])
    made = both.sample(labels, 4, 9, streams)
    assert torch.equal(made[[1, 3]], own.sample(np.zeros(2, int), 4, 9, streams))
    centre = dataset.x_train[dataset.y_train == 1].mean(axis=0)
    assert both.sample(np.ones(500, int), 4, 9, streams).numpy().mean(axis=0) == pytest.approx(centre, abs=0.3)
    with pytest.raises(UnknownClass, match="class 2"):
        both.sample(np.array([2]), 4, 9, streams)


def test_generators_of_different_classes_do_not_complement_each_other(streams):
    dataset = blobs()
    mixture = GENERATORS["gaussian_mixture"]()
    with pytest.raises(ValueError, match="4 and 3 classes"):
        Complemented(
            mixture.fit(*part_of(dataset, [0]), 4, 0, 0, streams), mixture.fit(*part_of(dataset, [0]), 3, 0, 0, streams)
        )


# ---- what is refused ----------------------------------------------------------------------------------------------


@every_generator
def test_text_is_refused_by_name(name):
    with pytest.raises(UnsupportedData, match="data set 'markov_text' holds token ids"):
        generator_for(name, load_dataset("markov_text"))


def test_diffusion_refuses_tables():
    with pytest.raises(UnsupportedData, match=r"'diffusion' makes images, samples of 'iris' have shape \(4,\)"):
        generator_for("diffusion", load_dataset("iris"))


@every_generator
def test_samples_of_a_kind_that_it_does_not_make_are_refused(name):
    sequences = torch.zeros(4, 5, 6)
    with pytest.raises(UnsupportedData, match=r"makes images.*got \[4, 5, 6\]"):
        GENERATORS[name]().fit(sequences, torch.zeros(4, dtype=torch.int64), 2, 0, 0, Streams(1))


def test_an_unknown_generator_is_refused_with_the_nearest(digits):
    with pytest.raises(UnknownName, match="did you mean 'gaussian_mixture'"):
        generator_for("gausian_mixture", digits)


@every_generator
@pytest.mark.parametrize(
    ("x", "y", "problem"),
    [
        (torch.zeros(0, 1, 8, 8), torch.zeros(0, dtype=torch.int64), "needs samples"),
        (torch.zeros(2, 1, 8, 8), torch.zeros(3, dtype=torch.int64), "as many labels"),
        (torch.zeros(2, 1, 8, 8), torch.tensor([0, 5]), "labels must be 0..2"),
        (torch.full((2, 1, 8, 8), torch.nan), torch.tensor([0, 1]), "NaN"),
    ],
    ids=["none", "lengths", "labels", "nan"],
)
def test_data_that_cannot_be_trained_on_are_refused(name, x, y, problem, streams):
    with pytest.raises(ValueError, match=problem):
        GENERATORS[name](**QUICK[name]).fit(x, y, 3, 0, 0, streams)


@pytest.mark.parametrize(
    ("name", "parameters", "problem"),
    [
        ("gaussian_mixture", {"components": 0}, "at least 1"),
        ("gaussian_mixture", {"prior": 0.0}, "above 0"),
        ("vae", {"code": 0}, "at least 1"),
        ("vae", {"rate": -1.0}, "above 0"),
        ("diffusion", {"width": 6}, "multiple of 4"),
        ("diffusion", {"sampling_steps": 0}, "at least 1"),
        ("diffusion", {"steps": 0}, "at least 1"),
    ],
)
def test_parameters_out_of_range_are_refused(name, parameters, problem):
    with pytest.raises(ValueError, match=problem):
        GENERATORS[name](**parameters)


def test_a_training_that_diverges_says_so(streams):
    dataset = blobs()
    with pytest.raises(ValueError, match="diverged"):
        fitted("vae", dataset, streams, rate=1e30, steps=20)
