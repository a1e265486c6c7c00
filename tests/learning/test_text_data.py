import subprocess
import sys

import numpy as np
import pytest

from learning.data import BadData, load_dataset, prose
from learning.data.markov import AUTHORS, CHARACTERS, transition_probabilities
from learning.data.prose import ALPHABET, OTHER


@pytest.fixture(scope="module")
def markov():
    return load_dataset("markov_text")


@pytest.fixture(scope="module")
def english():
    return load_dataset("stdlib_text")


@pytest.mark.parametrize("name", ["markov", "english"])
def test_text_is_rows_of_token_ids_with_a_group_each(name, request):
    text = request.getfixturevalue(name)
    assert text.vocabulary == text.classes
    for x, y in ((text.x_train, text.y_train), (text.x_test, text.y_test)):
        assert x.dtype == np.float32
        assert len(x) == len(y)
        assert np.array_equal(x, np.floor(x))
        assert 0 <= x.min() <= x.max() < text.vocabulary
        assert 0 <= y.min() <= y.max() < text.classes
    assert len(text.groups) == len(text.y_train)
    assert np.array_equal(np.unique(text.groups), np.arange(text.groups.max() + 1))


@pytest.mark.parametrize("name", ["markov_text", "stdlib_text"])
def test_text_is_the_same_in_another_process(name):
    code = f"""
import hashlib
from learning.data import load_dataset
data = load_dataset({name!r})
parts = data.x_train, data.y_train, data.x_test, data.y_test, data.groups
print(hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest())
"""
    seeds = ("1", "2")  # of Python's own hashing, which must not matter
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": s}
        )
        for s in seeds
    ]
    assert runs[0].stdout == runs[1].stdout != ""


def test_each_author_of_the_markov_text_has_rows_of_probabilities():
    chances = transition_probabilities()
    assert chances.shape == (AUTHORS, CHARACTERS, CHARACTERS, CHARACTERS)
    assert np.allclose(chances.sum(axis=-1), 1.0)


def test_the_next_character_follows_the_chain_of_its_author(markov):
    chances = transition_probabilities()
    before, last = markov.x_train[:, -2].astype(int), markov.x_train[:, -1].astype(int)
    row = chances[markov.groups, before, last]
    surprise = -np.log(row[np.arange(len(row)), markov.y_train])
    entropy = -(row * np.log(np.maximum(row, 1e-300))).sum(axis=1)
    spread = surprise.std() / np.sqrt(len(row))
    assert abs(surprise.mean() - entropy.mean()) < 4 * spread
    strangers = chances[(markov.groups + 1) % AUTHORS, before, last]
    unlikely = -np.log(np.maximum(strangers[np.arange(len(row)), markov.y_train], 1e-6))
    assert unlikely.mean() > 1.5 * surprise.mean()


def test_knowing_the_author_is_worth_something_and_the_context_more(markov):
    chances = transition_probabilities()
    before, last = markov.x_test[:, -2].astype(int), markov.x_test[:, -1].astype(int)
    author = np.arange(len(last)) % AUTHORS  # windows of the authors in turn
    personal = (chances[author, before, last].argmax(axis=1) == markov.y_test).mean()
    common = (chances.mean(axis=0)[before, last].argmax(axis=1) == markov.y_test).mean()
    majority = np.bincount(markov.y_test).max() / len(markov.y_test)
    assert personal > common + 0.1
    assert common > majority + 0.2


def test_a_table_of_counts_learns_the_markov_text(markov):
    counts = np.zeros((CHARACTERS, CHARACTERS))
    x = markov.x_train.astype(int)
    np.add.at(counts, (x[:, :-1], x[:, 1:]), 1)
    guesses = counts[markov.x_test[:, -1].astype(int)].argmax(axis=1)
    assert (guesses == markov.y_test).mean() > 0.25


def test_docstrings_read_as_english(english):
    letters = np.array([*ALPHABET, "?"])
    text = "".join("".join(letters[row.astype(int)]) for row in english.x_train[:2000])
    assert text.count("the ") > 200
    assert text.count("  ") == 0 or "  " not in "".join(letters[english.x_train[0].astype(int)])
    assert (english.x_train == OTHER).mean() < 0.02
    assert np.bincount(english.y_test).argmax() == ALPHABET.index(" ")


def test_the_first_samples_come_from_many_modules(english):
    assert len(np.unique(english.groups[:500])) > 0.7 * (english.groups.max() + 1)


def test_no_window_is_both_trained_and_tested_on(english):
    seen = {row.tobytes() for row in english.x_train}
    repeated = np.mean([row.tobytes() in seen for row in english.x_test])
    assert repeated < 0.05  # phrases that modules repeat word by word


def test_an_installation_without_sources_is_told_so(monkeypatch, tmp_path):
    monkeypatch.setattr(prose.sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path)})
    monkeypatch.setattr(prose, "_built", prose._built.__wrapped__)
    with pytest.raises(BadData, match="sources of Python's standard library are not installed"):
        load_dataset("stdlib_text")
