import numpy as np
import pytest
import torch
from learning_samples import CPU

from learning.backends import can_train
from learning.data import load_dataset
from learning.data.answers import FILL
from learning.evaluation import evaluate
from learning.language import offline
from learning.language.pretrain import save, text_loss, texts, trained
from learning.language.reading import read_off
from learning.language.tiny import WEIGHTS, TinyLM, pretrained
from learning.local_terms import LocalTerms
from learning.models import FlatModel
from learning.partition import deal
from learning.shards import Shards
from learning.training import LocalTraining, choose_backend, train_cohort


def sentence(row):
    return " ".join(offline.WORDS[int(token)] for token in row if token != FILL)


@pytest.fixture(scope="module")
def finance():
    return load_dataset("mix_finance_offline")


@pytest.fixture(scope="module")
def base():
    model = TinyLM()
    model.load_state_dict(pretrained())
    return model


def said(base, prompt, count):
    """What the base goes on to say, greedily."""
    ids = offline.encode(prompt)
    for _ in range(count):
        row = torch.tensor([[*([FILL] * (35 - len(ids))), *ids]])
        ids.append(int(base(row)[0, -1].argmax()))
    return " ".join(offline.WORDS[token] for token in ids[-count:])


@pytest.mark.parametrize(
    ("name", "sizes", "tested", "free"),
    [("mix_finance_offline", [400, 400, 400], 450, 0), ("code_finance_offline", [2500, 600], 775, 1)],
)
def test_the_sets_have_a_group_for_each_domain_and_classes_for_its_label_words(name, sizes, tested, free):
    data = load_dataset(name)
    assert np.bincount(data.groups).tolist() == pytest.approx(sizes, abs=3)
    assert len(data.y_test) == pytest.approx(tested, abs=6)
    assert sum(word == () for word in data.answers.words) == free
    assert (data.answers.domains[data.y_train] == data.groups).all()
    assert data.vocabulary == len(offline.WORDS)
    assert load_dataset(name) is data


def test_the_answer_is_told_by_the_verbs_as_the_lexicon_has_it(finance):
    polarity = {verb: offline.POLARITIES[place % 3] for place, verb in enumerate(offline._VERBS)}
    news = finance.x_test[finance.answers.domains[finance.y_test] == 2]
    for row in news:
        words = sentence(row).split()
        score = sum(
            polarity[word] * (-1 if words[place - 1] == "never" else 1)
            for place, word in enumerate(words)
            if word in polarity
        )
        strength = {2: "strongly ", 1: "mildly ", 0: ""}[abs(score)]
        mood = {1: "positive", 0: "neutral", -1: "negative"}[int(np.sign(score))]
        assert sentence(row).endswith(f"response : {strength}{mood} <end>")


def test_a_program_is_the_operations_that_are_named():
    code = {name: offline.OPERATORS[place // 2] for place, name in enumerate(offline._OPERATIONS)}
    for _, task, program in offline.programs(50):
        steps = [step.split() for step in task.split(" then ")]
        assert program == " ".join(f"x {code[name]} {number} ;" for name, number in steps)


def test_the_base_knows_half_of_the_verbs_and_nothing_of_the_tasks(base):
    chance = np.random.default_rng(5)
    right = 0
    for _ in range(40):
        text, polarity = offline._post(chance, offline.SHOWN_VERBS)
        prompt = offline.TEMPLATE.format(instruction="what do traders do ?", input=text)
        right += said(base, prompt, 1) == offline.MOODS[polarity]
    assert right >= 38
    assert not {"positive", "bullish", "mildly"} & {
        word
        for ids in offline.read_before(300)
        for word in (offline.WORDS[token] for token in ids)
        if "response" in sentence(ids).split()
    }


def test_adapters_and_nothing_else_are_trained(finance, streams):
    model = FlatModel.for_dataset("tiny_lm_lora", finance)
    per_layer = 4 * 2 * 64 * 8 + 2 * (64 + 128) * 8
    assert model.size == 3 * per_layer + 8 * (64 + len(offline.WORDS))
    assert choose_backend(model, CPU) == "vmap"
    assert [name for name in ("linear", "conv") if can_train(name, model)] == []
    frozen = dict(model.build(3).named_buffers())
    assert set(frozen) >= {"embedding.weight", "layers.0.attention.query.base.weight"}
    assert torch.equal(frozen["embedding.weight"], pretrained()["embedding.weight"])
    assert WEIGHTS.stat().st_size < 500_000


def test_a_few_rounds_teach_the_label_words_and_both_back_ends_agree(finance, streams):
    model = FlatModel.for_dataset("tiny_lm_lora", finance)
    indices = deal("natural", finance, 6, streams, shards_of=[2, 2, 2])
    clean = {"max_label_noise": 0.0, "max_feature_noise": 0.0}
    shards = Shards.build(finance, indices, np.ones(6), **clean, streams=streams, device=CPU)
    assert shards.sizes.tolist() == [200] * 6
    owners, plan = np.arange(2), LocalTraining(learning_rate=0.02, batch_size=8)
    terms = LocalTerms(momentum=0.9, steps=np.full(2, 3))
    start = model.initial(streams)
    call = (shards, owners, shards.sizes[owners], owners, 0, plan, streams)
    looped, mapped = (train_cohort(model, start, *call, name, terms=terms) for name in ("loop", "vmap"))
    assert torch.allclose(looped, mapped, atol=1e-4)
    x, y = torch.from_numpy(finance.x_test[:150]), torch.from_numpy(finance.y_test[:150])
    before = evaluate(model, start, x, y, finance.classes)
    terms = LocalTerms(momentum=0.9, steps=np.full(2, 40))
    after = evaluate(model, train_cohort(model, start, *call, terms=terms)[0], x, y, finance.classes)
    posts = finance.answers.domains == 0
    assert after.class_loss[posts].mean() < 0.2 * before.class_loss[posts].mean()
    words = read_off(model, mapped[0], x, y)
    assert (finance.answers.domains[words] == finance.answers.domains[y]).all()


def test_pre_training_is_repeatable_and_learns(tmp_path):
    rows = texts(200)
    first, again = trained(rows, 12), trained(rows, 12)
    with torch.no_grad():
        assert text_loss(first, rows) < text_loss(trained(rows, 0), rows) - 0.15
    for one, other in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    save(first, tmp_path / "base.npz")
    with np.load(tmp_path / "base.npz") as kept:
        assert np.allclose(kept["embedding.weight"], first.embedding.weight.detach(), atol=1e-3)
