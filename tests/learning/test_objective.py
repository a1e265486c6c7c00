import itertools

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from learning.data import Dataset
from learning.data.answers import FILL, Answers, filled
from learning.objective import sample_hits, sample_losses

END, VOCABULARY = 0, 7
# Two domains: one with the words "1", "1 2" and "3 2", one of free text.
ANSWERS = Answers(3, ((1, END), (1, 2, END), (3, 2, END), ()), np.array([0, 0, 0, 1]), ("a", "b", "c", "free"))


def batch(*answers):
    """Prompts of three tokens with these answers [n, 6]."""
    return torch.tensor(np.array([filled([5, 6], list(answer), 3, 3) for answer in answers]))


def test_a_sample_is_filled_up_on_both_sides():
    assert filled([4, 5], [6], 3, 2).tolist() == [FILL, 4, 5, 6, FILL]
    assert filled([1, 2, 3, 4], [5, 6, 7], 3, 2).tolist() == [2, 3, 4, 5, 6], (
        "the prompt's beginning goes, the answer's end"
    )


def test_the_loss_of_a_sample_is_the_mean_over_the_tokens_of_its_answer():
    x = batch((1, END), (3, 2, END))
    logits = torch.randn(2, 3, VOCABULARY, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    first = cross_entropy(logits[0, :2], torch.tensor([1, END]))
    second = cross_entropy(logits[1], torch.tensor([3, 2, END]))
    got = sample_losses(ANSWERS, logits, x, torch.tensor([0, 2]))
    assert torch.allclose(got, torch.stack([first, second]), atol=1e-12, rtol=0)


def test_many_models_at_once_have_the_losses_and_hits_of_each():
    x, y = batch((1, END), (3, 2, END), (6, 6, END)), torch.tensor([0, 2, 3])
    logits = torch.randn(4, 3, 3, VOCABULARY, generator=torch.Generator().manual_seed(1))
    for measure in (sample_losses, sample_hits):
        each = torch.stack([measure(ANSWERS, one, x, y) for one in logits])
        assert torch.equal(measure(ANSWERS, logits, x, y), each)


def decoded(table, words):
    """The word that a greedy decoder says that may only go on to a word: by a search through the words themselves."""
    said = ()
    while said not in words:
        following = {word[len(said)] for word in words if word[: len(said)] == said}
        said += (max(sorted(following), key=lambda token: table[said][token]),)
    return said


def test_a_label_word_is_right_if_a_greedy_decoder_that_must_say_one_says_it():
    words = ANSWERS.words[:3]
    chance = np.random.default_rng(2)
    right = 0
    for _, (label, word) in itertools.product(range(60), enumerate(words)):
        prefixes = {w[:place] for w in words for place in range(len(w))}
        table = {prefix: chance.normal(size=VOCABULARY) for prefix in prefixes}
        # A language model that is given the right answer foretells each of its tokens from those before.
        rows = [table[word[:place]] for place in range(len(word))] + [np.zeros(VOCABULARY)] * (3 - len(word))
        hit = sample_hits(ANSWERS, torch.tensor(np.array(rows))[None], batch(word), torch.tensor([label]))
        assert bool(hit) == (decoded(table, words) == word)
        right += int(hit)
    assert 20 < right < 160


def test_free_text_is_right_only_as_an_exact_match_among_all_tokens():
    x, y = batch((4, 4, END)), torch.tensor([3])
    logits = torch.zeros(1, 3, VOCABULARY)
    for place, token in enumerate((4, 4, END)):
        logits[0, place, token] = 1.0
    assert sample_hits(ANSWERS, logits, x, y).tolist() == [True]
    logits[0, 1, 6] = 2.0
    assert sample_hits(ANSWERS, logits, x, y).tolist() == [False]


def test_the_chance_level_is_the_commonest_word_of_each_domain():
    labels = np.array([0, 0, 0, 1, 2, 2, 3, 3, 3, 3])
    assert ANSWERS.chance(labels) == 0.3


def test_a_wrong_answer_is_another_word_of_the_same_domain_or_another_free_text():
    labels = np.repeat([0, 1, 2, 3], 50)
    rows = np.arange(200)
    source = ANSWERS.wrong(labels, rows, 0.5, np.random.default_rng(0))
    changed = source != rows
    assert 70 < changed.sum() < 130
    assert (ANSWERS.domains[labels[source]] == ANSWERS.domains[labels]).all()
    closed = changed & (labels < 3)
    assert (labels[source][closed] != labels[closed]).all()
    more = ANSWERS.wrong(labels, rows, 0.8, np.random.default_rng(0))
    assert (more[changed] == source[changed]).all(), "at a higher rate the same samples are wrong, and more"


def test_shards_of_poor_quality_have_wrong_answers_and_noisy_prompts(streams):
    from learning.shards import Shards

    chance = np.random.default_rng(0)
    y = np.arange(400) % 4
    said = [(1, END), (1, 2, END), (3, 2, END)]
    rows = [filled([5, 6], list(said[k]) if k < 3 else [*chance.integers(1, 7, 2), END], 3, 3) for k in y]
    x = np.array(rows, dtype=np.float32)
    data = Dataset("words", x, y, x[:8], y[:8], 4, vocabulary=VOCABULARY, answers=ANSWERS)
    parts, quality = [np.arange(200), np.arange(200, 400)], np.array([1.0, 0.0])
    shards = Shards.build(
        data, parts, quality, max_label_noise=0.4, max_feature_noise=0.5, streams=streams, device=torch.device("cpu")
    )
    assert shards.label_noise[0] == shards.feature_noise[0] == 0
    assert 0.25 < shards.label_noise[1] < 0.5
    poor, labels = shards.x[200:].numpy(), shards.y[200:].numpy()
    assert (poor[:, 0] == FILL).all(), "there is no noise where there is no token"
    assert 0.4 < (poor[:, 1:3] != [5, 6]).mean() < 0.6
    for row, label in zip(poor, labels, strict=True):
        assert label == 3 or tuple(row[3:][row[3:] != FILL]) == ANSWERS.words[label], "the label says what is answered"


def test_label_words_longer_than_the_answer_are_refused():
    with pytest.raises(ValueError, match="longer than the 2 token ids"):
        Answers(2, ((1, 2, END),), np.array([0]), ("long",))
