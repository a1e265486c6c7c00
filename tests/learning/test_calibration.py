import json

import numpy as np
import pytest
import torch
from learning_samples import CPU, blobs, clean_shards

from learning import calibration
from learning.backends import BACKENDS
from learning.calibration import cache_file, calibrate
from learning.models import FlatModel
from learning.registry import UnknownName
from learning.streams import Streams
from learning.training import Choice, LocalTraining, train_cohort

STREAMS = Streams(7)
DATASET = blobs(shape=(1, 8, 8), train=240)
SHARDS = clean_shards(DATASET, 8, STREAMS)
MODELS = {name: FlatModel(name, (1, 8, 8), 3) for name in ("softmax", "cnn")}
PLAN = LocalTraining(batch_size=7)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DATAGORA_CACHE", str(tmp_path))


def forbid_measuring(monkeypatch):
    def refuse(*args):
        raise AssertionError("measured again")

    monkeypatch.setattr(calibration, "_measured", refuse)


def test_the_measured_choice_trains_and_is_filed_for_the_next_run(monkeypatch):
    choice = calibrate(MODELS["softmax"], SHARDS, PLAN, CPU)
    assert choice.backend in ("linear", "vmap", "loop")
    rows = np.arange(8)
    base = MODELS["softmax"].initial(STREAMS)
    trained = train_cohort(
        MODELS["softmax"], base, SHARDS, rows, SHARDS.sizes, rows, 0, PLAN, STREAMS, choice.backend, chunk=choice.chunk
    )
    assert torch.isfinite(trained).all()
    forbid_measuring(monkeypatch)
    assert calibrate(MODELS["softmax"], SHARDS, PLAN, CPU) == choice
    with pytest.raises(AssertionError, match="measured again"):  # other work is other work
        calibrate(MODELS["softmax"], SHARDS, LocalTraining(batch_size=8), CPU)


def test_the_fastest_is_chosen(monkeypatch):
    """With speeds that are known: a back-end first, then its chunk."""
    speeds = {("conv", 25): 9.0, ("conv", 50): 7.0, ("loop", 25): 100.0}
    asked = []

    def speed(choice, *rest):
        asked.append(choice)
        return speeds.get((choice.backend, choice.chunk), 5.0 if choice.backend == "conv" else 1.0)

    monkeypatch.setattr(calibration, "_clients_per_second", speed)
    assert calibrate(MODELS["cnn"], SHARDS, PLAN, CPU) == Choice("conv", 25)
    assert [choice.backend for choice in asked[:3]] == ["conv", "vmap", "loop"]
    assert {choice.backend for choice in asked[3:]} == {"conv"}


def test_only_back_ends_that_are_allowed_and_able_are_measured():
    assert calibrate(MODELS["softmax"], SHARDS, PLAN, CPU, backends=("loop", "conv")).backend == "loop"
    with pytest.raises(ValueError, match="none of the back-ends conv can train the model 'softmax'"):
        calibrate(MODELS["softmax"], SHARDS, PLAN, CPU, backends=("conv",))
    with pytest.raises(UnknownName, match="did you mean 'loop'"):
        calibrate(MODELS["softmax"], SHARDS, PLAN, CPU, backends=("lop",))


def test_a_candidate_without_memory_is_left_out(monkeypatch):
    def none_left(*args):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setitem(BACKENDS._entries, "linear", none_left)
    assert calibrate(MODELS["softmax"], SHARDS, PLAN, CPU, backends=("linear", "loop")).backend == "loop"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"x": 1}', '{"x": {"y": ["linear"]}}', '{"x": {"y": ["linear", 0]}}'])
def test_a_file_that_cannot_be_understood_is_measured_anew_and_replaced(text):
    cache_file().parent.mkdir(exist_ok=True)
    cache_file().write_text(text)
    choice = calibrate(MODELS["softmax"], SHARDS, PLAN, CPU, backends=("linear",))
    (kept,) = json.loads(cache_file().read_text()).values()
    assert list(kept.values()) == [[choice.backend, choice.chunk]]


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DATAGORA_CACHE", str(tmp_path / "file"))
    assert calibrate(MODELS["softmax"], SHARDS, PLAN, CPU, backends=("linear",)).backend == "linear"


def test_without_the_variable_choices_are_kept_in_the_users_cache(monkeypatch):
    monkeypatch.delenv("DATAGORA_CACHE")
    assert cache_file().parts[-3:] == (".cache", "datagora", "calibration.json")
