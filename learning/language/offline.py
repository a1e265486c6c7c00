"""Instruction data sets that need no network: headlines and programs in an invented language, answered in words.

Three finance sets with label words of their own (short posts, tickers, two-clause news) share one lexicon of invented
verbs that are good, indifferent or bad news; ``never`` turns good to bad. A set of programs maps invented names of
operations to code. The base model (``learning.language.tiny``) has read such text, and was told what it means for
every second verb and operation only: the others an owner has to learn from its own samples, of which it has too few
to meet them all. So there is something to gain from each other.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from learning.data.dataset import DATASETS, Dataset
from learning.language.instructions import Encoder, Texts, dataset_of
from learning.streams import Streams

POLARITIES = (-1, 0, 1)
VERBS, NAMES, THINGS, NUMBERS = 40, 24, 16, 10
OPERATORS = ("+", "-", "*", "/", "%", "^", "max", "min")
SYLLABLES = (
    "bra",
    "cor",
    "dil",
    "fen",
    "gra",
    "hol",
    "jum",
    "kel",
    "lor",
    "mip",
    "nar",
    "pol",
    "rus",
    "sem",
    "tov",
    "vik",
)
TEMPLATE = "instruction : {instruction} input : {input} response :"
GLUE = (
    *("instruction", ":", "input", "response", "how", "is", "the", "mood", "of", "this", "post", "tweet", "news"),
    *("who", "what", "about", "write", "repeat", "program", "?", ".", ";", "never", "but", "then", "today", "$"),
    *("x", "code", "note", "traders", "cheer", "wait", "worry", "positive", "neutral", "negative", "bullish"),
    *("bearish", "strongly", "mildly", "do", "translate"),
)
MOODS = {-1: "worry", 0: "wait", 1: "cheer"}
FOLLOWED = {1: "positive", 0: "neutral", -1: "negative"}

LENGTHS = {"width": 40, "length": 16, "most_label_words": 8}


def _invented() -> list[str]:
    """Three-syllable words in a fixed mixed order."""
    words = [a + b + c for a in SYLLABLES for b in SYLLABLES for c in SYLLABLES[::4]]
    return [words[place] for place in Streams(0).generator("offline words").permutation(len(words))]


_WORDS = _invented()
_STARTS = np.cumsum([0, 3 * VERBS, NAMES, THINGS, 2 * len(OPERATORS)])
_VERBS, _NAMES, _THINGS, _OPERATIONS = (_WORDS[a:b] for a, b in itertools.pairwise(_STARTS))
_DIGITS = [str(number) for number in range(NUMBERS)]

END = 0
WORDS = tuple(dict.fromkeys(("<end>", *GLUE, *OPERATORS, *_DIGITS, *_VERBS, *_NAMES, *_THINGS, *_OPERATIONS)))
"""The vocabulary: the id of a word is its place."""

_IDS = {word: number for number, word in enumerate(WORDS)}


def encode(text: str) -> list[int]:
    """The ids of the words of a text."""
    return [_IDS[word] for word in text.split()]


ENCODER = Encoder(encode, encode, END, len(WORDS))


@DATASETS.register("mix_finance_offline")
def mix_finance_offline(folder: Path) -> Dataset:
    """Sentiment of invented headlines: three sets (groups) of 400 with their own label words; for `tiny_lm_lora`.

    Stands in for the Mix-Finance scenario of iPFL. 150 further samples of each set are for testing.
    """
    return _mix_finance()


@DATASETS.register("code_finance_offline")
def code_finance_offline(folder: Path) -> Dataset:
    """Programs of an invented language (2500, free text) and invented news (600, label words); for `tiny_lm_lora`.

    Stands in for the Code&Finance scenario of iPFL: two groups.
    """
    return _code_finance()


@lru_cache(maxsize=1)
def _mix_finance() -> Dataset:
    domains = {"posts": headlines("posts", 750), "tickers": headlines("tickers", 750), "news": headlines("news", 750)}
    return dataset_of("mix_finance_offline", domains, ENCODER, TEMPLATE, samples=[400] * 3, **LENGTHS)


@lru_cache(maxsize=1)
def _code_finance() -> Dataset:
    domains = {"code": programs(3125), "news": headlines("news", 750)}
    return dataset_of("code_finance_offline", domains, ENCODER, TEMPLATE, samples=[2500, 600], **LENGTHS)


def headlines(style: str, count: int) -> Texts:
    """Samples of a finance set: ``posts``, ``tickers`` or ``news``."""
    question, make = _STYLES[style]
    chance = Streams(0).generator(f"offline text/{style}")
    found = []
    for _ in range(count):
        text, polarity = make(chance, range(3 * VERBS))
        found.append((question, text, _answer(style, polarity)))
    return found


def programs(count: int) -> Texts:
    """Samples of the code set: two or three operations and numbers, answered by a program."""
    chance = Streams(0).generator("offline text/programs")
    return [("write the program ?", *program(chance, range(len(_OPERATIONS)))) for _ in range(count)]


def program(chance: np.random.Generator, operations: range) -> tuple[str, str]:
    """A task and its program: ``brafen 3 then lorkel 7`` and ``x + 3 ; x * 7 ;``."""
    steps = [(int(chance.choice(operations)), int(chance.integers(NUMBERS))) for _ in range(2 + chance.integers(2))]
    task = " then ".join(f"{_OPERATIONS[operation]} {number}" for operation, number in steps)
    code = " ".join(f"x {OPERATORS[operation // 2]} {number} ;" for operation, number in steps)
    return task, code


def _clause(chance: np.random.Generator, verbs: range) -> tuple[str, int]:
    """Verb and object, and -1, 0 or 1: bad, indifferent or good news."""
    verb, thing = int(chance.choice(verbs)), _THINGS[chance.integers(THINGS)]
    polarity = POLARITIES[verb % 3]
    if chance.random() < 0.25:
        return f"never {_VERBS[verb]} {thing}", -polarity
    return f"{_VERBS[verb]} {thing}", polarity


def _name(chance: np.random.Generator) -> str:
    return _NAMES[chance.integers(NAMES)]


def _post(chance: np.random.Generator, verbs: range) -> tuple[str, int]:
    clause, polarity = _clause(chance, verbs)
    return f"{_name(chance)} {clause} .", polarity


def _ticker(chance: np.random.Generator, verbs: range) -> tuple[str, int]:
    clause, polarity = _clause(chance, verbs)
    return f"$ {_name(chance)} : today {clause}", polarity


def _news(chance: np.random.Generator, verbs: range) -> tuple[str, int]:
    (first, one), (second, other) = _clause(chance, verbs), _clause(chance, verbs)
    return f"{_name(chance)} {first} but {second} .", one + other


Maker = Callable[[np.random.Generator, range], tuple[str, int]]
_STYLES: dict[str, tuple[str, Maker]] = {
    "posts": ("of this post what do traders do ?", _post),
    "tickers": ("of this tweet what do traders do ?", _ticker),
    "news": ("of this news what do traders do ?", _news),
}


def _answer(style: str, polarity: int) -> str:
    if style == "tickers":
        return {1: "bullish", 0: "neutral", -1: "bearish"}[polarity]
    if style == "posts" or polarity == 0:
        return FOLLOWED[polarity]
    return f"{'strongly' if abs(polarity) == 2 else 'mildly'} {'positive' if polarity > 0 else 'negative'}"


# ---- what the base model has read ---------------------------------------------------------------------------------

SHOWN_VERBS = range(0, 3 * VERBS // 2)
SHOWN_OPERATIONS = range(0, len(_OPERATIONS), 2)


def read_before(count: int) -> list[list[int]]:
    """Token ids of texts that a base model is trained on before: of the same language, without any of the tasks.

    Statements alone; with half of the verbs, what traders then do, told or asked in the form of an instruction;
    questions about names and things; notes and code of half the operations, told or asked; programs to be repeated;
    and the label words, in no connection with anything.
    """
    chance = Streams(0).generator("offline text/read before")
    makers = [_statement, _told, _asked, _question, _note, _translated, _repeated, _label_words]
    return [[*encode(makers[kind](chance)), END] for kind in chance.integers(len(makers), size=count)]


def _statement(chance: np.random.Generator) -> str:
    return _any_style(chance, range(3 * VERBS))[0]


def _any_style(chance: np.random.Generator, verbs: range) -> tuple[str, int]:
    return (_post, _ticker, _news)[chance.integers(3)](chance, verbs)


def _told(chance: np.random.Generator) -> str:
    text, polarity = _any_style(chance, SHOWN_VERBS)
    return f"{text} traders {MOODS[int(np.sign(polarity))]}"


def _asked(chance: np.random.Generator) -> str:
    text, polarity = _any_style(chance, SHOWN_VERBS)
    return f"{TEMPLATE.format(instruction='what do traders do ?', input=text)} {MOODS[int(np.sign(polarity))]}"


def _translated(chance: np.random.Generator) -> str:
    task, code = program(chance, SHOWN_OPERATIONS)
    return f"{TEMPLATE.format(instruction='translate the note ?', input=task)} {code}"


def _label_words(chance: np.random.Generator) -> str:
    words = sorted({word for style in _STYLES for polarity in range(-2, 3) for word in _words_of(style, polarity)})
    return " ".join(["note :", *(words[place] for place in chance.integers(len(words), size=4))])


def _words_of(style: str, polarity: int) -> list[str]:
    return _answer(style, polarity if style == "news" else int(np.sign(polarity))).split()


def _question(chance: np.random.Generator) -> str:
    text, _ = _any_style(chance, range(3 * VERBS))
    words = text.split()
    who = chance.random() < 0.5
    answer = next(word for word in words if word in (_NAMES if who else _THINGS))
    kind = ("post", "tweet", "news")[chance.integers(3)]
    asked = f"{'who' if who else 'what'} is this {kind} about ?"
    return f"{TEMPLATE.format(instruction=asked, input=text)} {answer}"


def _note(chance: np.random.Generator) -> str:
    task, code = program(chance, SHOWN_OPERATIONS)
    return f"note : {task} code : {code}"


def _repeated(chance: np.random.Generator) -> str:
    _, code = program(chance, range(len(_OPERATIONS)))
    return f"{TEMPLATE.format(instruction='repeat the program ?', input=code)} {code}"
