import hashlib
import sys

import numpy as np
import pytest
import torch
from learning_samples import CPU
from tiny_causal import TEMPLATE, copies, headlines, save_llama, write

from learning.backends import can_train
from learning.data import load_dataset
from learning.evaluation import evaluate, losses, utilities
from learning.language import causal
from learning.language.reading import read_off
from learning.local_terms import LocalTerms
from learning.models import FlatModel
from learning.partition import deal
from learning.shards import Shards
from learning.training import LocalTraining, choose_backend, train_cohort

RANK = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def data(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("texts")
    files = [write(place / "news.jsonl", headlines(120)), write(place / "code.csv", copies(120))]
    parameters = {"tokenizer": str(folder), "template": TEMPLATE}
    return load_dataset("instructions", files=[str(file) for file in files], **parameters)


def adapted(folder, data, **parameters):
    return FlatModel.for_dataset("causal_lm", data, parameters={"path": str(folder), "rank": RANK, **parameters})


@pytest.fixture(scope="module")
def model(folder, data):
    return adapted(folder, data)


def digest(model):
    """Of every number of the base."""
    content = hashlib.sha256()
    for name, value in model.build()._base[0].model.state_dict().items():
        content.update(name.encode() + value.numpy().tobytes())
    return content.hexdigest()


def test_what_is_trained_are_the_adapters_of_queries_and_values(model, data):
    # Two layers, query and value of width 32 to 32, A and B of rank 4.
    assert model.size == 2 * 2 * (RANK * 32 + 32 * RANK)
    assert not list(model.build().named_buffers())
    assert sum(p.numel() for p in model.build()._base[0].model.parameters()) > 5 * model.size


def test_at_first_it_is_the_model_in_the_folder(folder, model, data, streams):
    from transformers import AutoModelForCausalLM

    plain = AutoModelForCausalLM.from_pretrained(folder).eval()
    x = torch.from_numpy(data.x_test[:5])
    got = model.logits(model.initial(streams).unsqueeze(0), x)[0]
    for sample, logits in zip(x, got, strict=True):
        length = data.answers.length
        start = int((sample[:-length] < 0).sum())
        ids = sample[start:].clamp_min(0).long().unsqueeze(0)
        with torch.no_grad():
            expected = plain(ids).logits[0, -length - 1 : -1]
        asked = sample[-length:] >= 0
        assert torch.allclose(logits[asked], expected[asked], atol=1e-5)


def test_an_adapter_adds_the_low_rank_product_to_the_frozen_matrix(folder, model, data):
    from transformers import AutoModelForCausalLM

    weights = torch.randn(model.size, generator=torch.Generator().manual_seed(0)) * 0.2
    merged = AutoModelForCausalLM.from_pretrained(folder).eval()
    parts = model.unflatten(weights)
    names = [name for name, _ in merged.named_modules() if name.endswith(("q_proj", "v_proj"))]
    with torch.no_grad():
        for number, name in enumerate(names):
            product = parts[f"up.{number}"] @ parts[f"down.{number}"]
            merged.get_submodule(name).weight += 64.0 / RANK * product
        sample = torch.from_numpy(data.x_test[:1])
        sample = sample[:, int((sample[0, : -data.answers.length] < 0).sum()) :]
        expected = merged(sample.clamp_min(0).long()).logits[:, -data.answers.length - 1 : -1]
        got = model.forward(parts, sample)
    asked = sample[0, -data.answers.length :] >= 0
    assert torch.allclose(got[0, asked], expected[0, asked], atol=1e-4)


def test_owners_tune_it_for_real_and_the_base_stays_as_it_is(model, data, streams):
    before = digest(model)
    indices = deal("natural", data, 4, streams, shards_of=[2, 2])
    clean = {"max_label_noise": 0.0, "max_feature_noise": 0.0}
    shards = Shards.build(data, indices, np.ones(4), **clean, streams=streams, device=CPU)
    owners, plan = np.arange(4), LocalTraining(learning_rate=0.05, batch_size=8)
    weights = model.initial(streams)
    x, y = torch.from_numpy(data.x_test), torch.from_numpy(data.y_test)
    first = evaluate(model, weights, x, y, data.classes)
    for number in range(6):
        terms = LocalTerms(momentum=0.9, steps=np.full(4, 10))
        uploads = train_cohort(model, weights, shards, owners, shards.sizes, owners, number, plan, streams, terms=terms)
        assert uploads.shape == (4, model.size), "adapters are all that travels"
        weights = uploads.mean(dim=0)
    last = evaluate(model, weights, x, y, data.classes)
    assert last.loss < 0.5 * first.loss
    assert last.accuracy > first.accuracy + 0.15
    assert digest(model) == before
    news = data.answers.domains[data.y_test] == 0
    words = read_off(model, weights, x, y)
    assert (words[~news] == -1).all()
    likeliest = float((words[news] == data.y_test[news]).mean())
    greedy = last.class_accuracy[:3] @ np.bincount(data.y_test[news]) / news.sum()
    # They differ only where a word's end token is not learnt yet.
    assert likeliest == pytest.approx(greedy, abs=0.2)


def test_accuracies_and_losses_of_many_models_are_those_of_each(model, data, streams):
    weights = torch.stack([model.initial(streams) + 0.05 * k * torch.ones(model.size) for k in range(3)])
    x, y = torch.from_numpy(data.x_test), torch.from_numpy(data.y_test)
    each = [evaluate(model, row, x, y, data.classes) for row in weights]
    assert utilities(model, weights, x, y).tolist() == [one.accuracy for one in each]
    assert losses(model, weights, x, y) == pytest.approx([one.loss for one in each], abs=1e-9)
    assert model.logits(weights[:0], x[:2]).shape == (0, 2, data.answers.length, model.vocabulary)


def test_only_the_back_ends_that_train_one_owner_after_another_take_it(model):
    able = [name for name in ("loop", "loop_bf16", "linear", "conv", "vmap", "compiled") if can_train(name, model)]
    assert able == ["loop", "loop_bf16"]
    assert choose_backend(model, CPU) == "loop"


def test_other_projections_and_precisions_of_the_base_can_be_chosen(folder, data, streams):
    other = adapted(folder, data, projections=["o_proj", "up_proj"], dtype="bfloat16")
    assert other.size == 2 * RANK * (32 + 32 + 32 + 64)
    weights = other.initial(streams)
    logits = other.logits(weights.unsqueeze(0), torch.from_numpy(data.x_test[:2]))
    assert logits.dtype == torch.float32
    assert {p.dtype for p in other.build()._base[0].model.parameters()} == {torch.bfloat16}


REFUSED = {
    "no folder": ({"path": "./nowhere"}, "there is no folder './nowhere'"),
    "no name": ({"path": "nobody/nothing"}, "no causal language model 'nobody/nothing' can be loaded from the hub"),
    "projections": ({"projections": ["w_proj"]}, "has no projections w_proj; name some in projections: down_proj, "),
    "precision": ({"dtype": "int4"}, "dtype must be float32, bfloat16 or float16"),
    "rank": ({"rank": 0}, "a rank of at least 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_loaded_or_adapted_is_refused_in_one_line(folder, data, case):
    changed, problem = REFUSED[case]
    with pytest.raises(ValueError, match=problem) as caught:
        adapted(folder, data, **changed)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_eight_bits_without_a_cuda_device_are_refused(folder, data):
    with pytest.raises(ValueError, match="load_in_8bit needs a CUDA device"):
        adapted(folder, data, load_in_8bit=True)


def test_a_folder_without_a_model_is_refused_in_one_line(tmp_path, data):
    with pytest.raises(ValueError, match="can be loaded from the folder") as caught:
        adapted(tmp_path, data)
    assert "\n" not in str(caught.value)


def test_without_the_extra_one_line_says_what_to_install(folder, data, monkeypatch):
    causal._loaded.cache_clear()
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ValueError, match=r"causal_lm: needs the package transformers, install it with: pip install"):
        adapted(folder, data)


def test_words_and_labels_do_not_go_together(folder, data):
    with pytest.raises(ValueError, match="'causal_lm' answers in words, the data set has labels only"):
        adapted(folder, load_dataset("markov_text"))
    with pytest.raises(ValueError, match="'char_lstm' gives labels, the data set 'instructions' asks for words"):
        FlatModel.for_dataset("char_lstm", data)
