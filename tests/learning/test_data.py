import dataclasses
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from learning.data import DATASETS, BadData, Dataset, data_folder, dataset_from_arrays, load_dataset, standardise
from learning.registry import UnknownName


def arrays(shape=(4,), train=12, test=6, classes=3):
    chance = np.random.default_rng(0)
    return {
        "x_train": chance.normal(5.0, 3.0, size=(train, *shape)),
        "y_train": np.arange(train) % classes,
        "x_test": chance.normal(5.0, 3.0, size=(test, *shape)),
        "y_test": np.arange(test) % classes,
    }


def save(path: Path, content) -> str:
    np.savez(path, **content)
    return str(path)


def test_digits_come_embedded_in_the_unit_interval_with_a_stratified_split(digits):
    assert digits.shape == (1, 8, 8)
    assert digits.classes == 10
    assert digits.x_train.dtype == digits.x_test.dtype == np.float32
    assert digits.x_train.min() == 0.0
    assert digits.x_train.max() == 1.0
    assert len(digits.y_train) + len(digits.y_test) == 1797
    share = np.bincount(digits.y_test) / np.bincount(np.concatenate([digits.y_train, digits.y_test]))
    assert np.abs(share - 0.2).max() < 0.01


def test_digits_are_the_same_every_time(digits):
    again = load_dataset("digits")
    assert np.array_equal(digits.x_train, again.x_train)
    assert np.array_equal(digits.y_test, again.y_test)


def test_the_test_half_shares_no_sample_with_the_training_half(digits):
    seen = {sample.tobytes() for sample in digits.x_train}
    assert not any(sample.tobytes() in seen for sample in digits.x_test)


def test_tabular_files_are_standardised_per_feature_by_the_training_half(tmp_path):
    content = arrays()
    content["x_train"][:, 1] *= 100.0
    content["x_train"][:, 2] = 4.25  # constant
    loaded = load_dataset(save(tmp_path / "mine.npz", content))
    assert loaded.name == "mine"
    assert loaded.shape == (4,)
    assert loaded.classes == 3
    varying = loaded.x_train[:, [0, 1, 3]]
    assert np.allclose(varying.mean(axis=0), 0.0, atol=1e-5)
    assert np.allclose(varying.std(axis=0), 1.0, atol=1e-5)
    assert (loaded.x_train[:, 2] == 0.0).all()
    raw = content["x_train"]
    expected = (content["x_test"][:, 1] - raw[:, 1].mean()) / raw[:, 1].std()
    assert np.allclose(loaded.x_test[:, 1], expected, rtol=1e-4)


def test_grey_images_gain_a_channel_axis(tmp_path):
    content = arrays(shape=(8, 9))
    loaded = load_dataset(save(tmp_path / "grey.npz", content))
    assert loaded.shape == (1, 8, 9)
    raw = content["x_train"]
    assert np.allclose(loaded.x_train[:, 0], (raw - raw.mean()) / raw.std(), atol=1e-5)


def test_colour_images_become_channel_first(tmp_path):
    content = arrays(shape=(8, 9, 2))
    content["x_train"] = np.random.default_rng(0).integers(0, 256, size=(12, 8, 9, 2), dtype=np.uint8)
    loaded = load_dataset(save(tmp_path / "colour.npz", content))
    assert loaded.shape == (2, 8, 9)
    green = content["x_train"][..., 1].astype(float)
    assert np.allclose(loaded.x_train[:, 1], (green - green.mean()) / green.std(), atol=1e-5)


def test_labels_may_be_a_column_as_in_keras_cifar(tmp_path):
    content = arrays()
    content["y_train"] = content["y_train"][:, None].astype(np.uint8)
    assert load_dataset(save(tmp_path / "a.npz", content)).y_train.shape == (12,)


@settings(deadline=None)
@given(hnp.arrays(np.float32, (20, 3), elements=st.floats(-1e6, 1e6, width=32)))
def test_standardising_never_makes_nan_or_wild_values(x):
    train, test = standardise(x, x)
    assert np.isfinite(train).all()
    assert np.abs(train).max() <= 6.0  # sqrt(19) is the most that one of twenty can deviate, plus rounding
    assert np.array_equal(train, test)


def broken(**changes):
    content = arrays()
    for name, value in changes.items():
        if value is None:
            del content[name]
        else:
            content[name] = value
    return content


BROKEN = {
    "missing array": (broken(y_test=None), "array y_test is missing"),
    "empty samples": (broken(x_train=np.empty((0, 4))), r"x_train is empty \(shape \(0, 4\)\)"),
    "empty labels": (broken(y_test=np.empty(0, dtype=int)), "y_test is empty"),
    "length": (broken(y_train=np.arange(11) % 3), "x_train has 12 samples but y_train has 11 labels"),
    "nan": (broken(x_test=np.full((6, 4), np.nan)), "x_test holds NaN, infinite or too large values"),
    "infinite": (broken(x_train=np.full((12, 4), np.inf)), "x_train holds NaN, infinite or too large"),
    "too large for float32": (broken(x_train=np.full((12, 4), 1e300)), "x_train holds NaN, infinite or too large"),
    "shapes": (broken(x_test=np.ones((6, 5))), r"samples of shape \(4,\), x_test of \(5,\)"),
    "one axis": (broken(x_train=np.ones(12)), "x_train has 1 axes"),
    "five axes": (broken(x_train=np.ones((12, 1, 1, 1, 1))), "x_train has 5 axes"),
    "text": (broken(x_train=np.full((12, 4), "a")), "x_train holds <U1, expected numbers"),
    "fractional labels": (broken(y_train=np.linspace(0, 2, 12)), "y_train holds float64, labels must be whole"),
    "one-hot labels": (broken(y_train=np.eye(12, dtype=int)), r"y_train has shape \(12, 12\), expected one label"),
    "negative label": (broken(y_train=np.arange(12) - 1), "y_train has the label -1, labels start at 0"),
    "negative test label": (broken(y_test=np.arange(6) - 2), "y_test has the label -2"),
    "unknown test label": (broken(y_test=np.arange(6)), r"y_test has the label 5, y_train only 0\.\.2"),
    "huge label": (broken(y_train=np.full(12, 2**63, dtype=np.uint64)), "y_train has the label 9223372036854775808"),
    "more classes than samples": (broken(y_train=np.full(12, 12)), "y_train has the label 12 among only 12 samples"),
    "one class": (broken(y_train=np.zeros(12, dtype=int)), "at least two classes"),
    "groups of another length": (broken(groups=np.arange(11)), r"groups is int64 of shape \(11,\), expected a whole"),
    "groups with names": (broken(groups=np.full(12, "a")), "groups is <U1 of shape"),
    "vocabulary of one": (broken(vocabulary=np.array(1)), "vocabulary must be one whole number of at least 2"),
    "tokens beyond": (
        broken(vocabulary=np.array(3), x_train=np.full((12, 4), 3)),
        r"other values than token ids 0\.\.2",
    ),
    "fractional tokens": (broken(vocabulary=np.array(9), x_train=np.full((12, 4), 0.5)), "other values than token ids"),
    "image tokens": (
        broken(vocabulary=np.array(9), x_train=np.ones((12, 4, 4)), x_test=np.ones((6, 4, 4))),
        "axes, token ids have 2",
    ),
    "pickled objects": (broken(x_train=np.array([{}] * 12, dtype=object)), "not a readable .npz file"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_refused_in_one_line_that_names_it(case, tmp_path):
    content, problem = BROKEN[case]
    path = save(tmp_path / "broken.npz", content)
    with pytest.raises(BadData, match=problem) as caught:
        load_dataset(path)
    assert caught.value.source == path
    assert str(caught.value) == f"{path}: {caught.value.problem}"
    assert "\n" not in str(caught.value)


def damaged(path: Path) -> bytes:
    good = Path(save(path, arrays())).read_bytes()
    return good[: len(good) // 2] + bytes(len(good) - len(good) // 2)


UNREADABLE = {
    "empty file": lambda path: b"",
    "text": lambda path: b"hello, I am no archive",
    "half a file": lambda path: damaged(path)[:200],
    "overwritten half": damaged,
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_an_unreadable_file_is_refused_in_one_line(case, tmp_path):
    path = tmp_path / "file.npz"
    path.write_bytes(UNREADABLE[case](tmp_path / "good.npz"))
    with pytest.raises(BadData, match=r"not an? (readable )?\.npz file") as caught:
        load_dataset(str(path))
    assert "\n" not in str(caught.value)


def test_a_plain_array_is_not_taken_for_an_archive(tmp_path):
    path = tmp_path / "plain.npz"
    with path.open("wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(BadData, match=r"not an \.npz file"):
        load_dataset(str(path))


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path):
    with pytest.raises(BadData, match=r"none\.npz: there is no such file"):
        load_dataset(str(tmp_path / "none.npz"))


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UnknownName, match="unknown data set 'minst', did you mean 'mnist'"):
        load_dataset("minst")


def test_the_data_folder_can_be_named_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("DATAGORA_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    monkeypatch.delenv("DATAGORA_DATA")
    assert data_folder().parts[-3:] == (".cache", "datagora", "data")


def test_a_named_set_is_first_looked_for_as_a_keras_file(tmp_path):
    save(tmp_path / "mnist.npz", arrays(shape=(28, 28)))
    loaded = load_dataset("mnist", tmp_path)
    assert loaded.name == "mnist"
    assert len(loaded.y_train) == 12


def write_idx(path: Path, values: np.ndarray) -> None:
    """The format of the original MNIST files: magic number, sizes, bytes."""
    header = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    path.write_bytes(header + values.astype(np.uint8).tobytes())


def test_a_named_set_is_then_looked_for_in_the_files_of_torchvision(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    images = np.random.default_rng(0).integers(0, 256, size=(30, 28, 28))
    write_idx(raw / "train-images-idx3-ubyte", images[:20])
    write_idx(raw / "train-labels-idx1-ubyte", np.arange(20) % 10)
    write_idx(raw / "t10k-images-idx3-ubyte", images[20:])
    write_idx(raw / "t10k-labels-idx1-ubyte", np.arange(10))
    loaded = load_dataset("mnist", tmp_path)
    expected = (images[20:] - images[:20].mean()) / images[:20].std()
    assert np.allclose(loaded.x_test[:, 0], expected, atol=1e-5)
    assert loaded.y_test.tolist() == list(range(10))


@pytest.mark.parametrize("name", ["mnist", "cifar10", "cifar100"])
def test_a_download_without_network_fails_in_one_line(name, tmp_path, monkeypatch):
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")  # the discard port: refused at once
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(BadData, match=f"neither {name}.npz nor a download") as caught:
        load_dataset(name, tmp_path)
    assert "\n" not in str(caught.value)


REAL = {"mnist": (1, 28, 28), "fashion_mnist": (1, 28, 28), "cifar10": (3, 32, 32), "cifar100": (3, 32, 32)}


@pytest.mark.parametrize("name", REAL)
def test_the_real_image_sets(name):
    folder = Path(os.environ.get("DATAGORA_DATA", Path.home() / ".cache/datagora/data"))
    if not (folder / f"{name}.npz").exists():
        pytest.skip(f"{name}.npz is not in the data folder")
    loaded = DATASETS[name](folder)
    assert isinstance(loaded, Dataset)
    assert loaded.shape == REAL[name]
    assert loaded.classes == (100 if name == "cifar100" else 10)
    assert len(loaded.y_train) == (50_000 if name.startswith("cifar") else 60_000)
    assert len(loaded.y_test) == 10_000
    for channel in range(loaded.shape[0]):
        values = loaded.x_train[:, channel]
        assert abs(values.mean(dtype=np.float64)) < 1e-4
        assert abs(values.std(dtype=np.float64) - 1.0) < 1e-4


def test_a_file_may_name_natural_groups(tmp_path):
    content = arrays() | {"groups": np.repeat([70, 3, 12], 4)}
    assert load_dataset(save(tmp_path / "a.npz", content)).groups.tolist() == [2] * 4 + [0] * 4 + [1] * 4
    assert load_dataset(save(tmp_path / "b.npz", arrays())).groups is None


def test_a_file_of_token_ids_is_left_as_it_is(tmp_path):
    content = arrays() | {"vocabulary": np.array(40)}
    for half, count in (("x_train", 12), ("x_test", 6)):
        content[half] = np.random.default_rng(0).integers(0, 40, size=(count, 4))
    loaded = load_dataset(save(tmp_path / "text.npz", content))
    assert loaded.vocabulary == 40
    assert np.array_equal(loaded.x_train, content["x_train"])


def test_the_first_samples_of_a_set_that_is_sorted_by_class_are_of_all_classes():
    content = arrays()
    for half in ("train", "test"):
        content[f"y_{half}"] = np.sort(content[f"y_{half}"])
    data = dataset_from_arrays("sorted", content, source="here")
    few = data.first(6, 3)
    assert set(few.y_train) == set(data.y_train)
    assert set(few.y_test) == set(data.y_test)
    assert few.y_train.tolist() == sorted(few.y_train), "in their old order"


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer"])
def test_the_first_samples_of_a_table_have_about_the_class_shares_of_the_whole(name):
    data = load_dataset(name)
    shares = np.bincount(data.first(40, None).y_train) / 40
    np.testing.assert_allclose(shares, np.bincount(data.y_train) / len(data.y_train), atol=0.05)


def test_the_first_samples_of_a_data_set_keep_their_groups():
    data = dataset_from_arrays("mine", arrays() | {"groups": np.arange(12)}, source="here")
    few = data.first(5, None)
    assert (len(few.x_train), len(few.y_train), len(few.x_test)) == (5, 5, 6)
    assert few.groups.tolist() == [0, 1, 2, 3, 4]
    assert data.first(None, 2).y_test.tolist() == data.y_test[:2].tolist()
    with pytest.raises(ValueError, match="5 training samples have 12 groups"):
        dataclasses.replace(few, groups=data.groups)


@pytest.mark.parametrize(
    ("name", "samples", "shape", "classes"),
    [("iris", 150, (4,), 3), ("wine", 178, (13,), 3), ("breast_cancer", 569, (30,), 2)],
)
def test_tables_that_come_with_the_installation(name, samples, shape, classes):
    loaded = load_dataset(name)
    assert len(loaded.y_train) + len(loaded.y_test) == samples
    assert (loaded.shape, loaded.classes) == (shape, classes)
    assert np.abs(loaded.x_train.mean(axis=0, dtype=np.float64)).max() < 1e-5
    every = np.bincount(np.concatenate([loaded.y_train, loaded.y_test]))
    assert np.abs(np.bincount(loaded.y_test) / every - 0.2).max() < 0.02


def test_arrays_in_memory_are_checked_like_a_file():
    with pytest.raises(BadData, match="my arrays: x_train has 12 samples"):
        dataset_from_arrays("mine", broken(y_train=np.arange(11) % 3), source="my arrays")
