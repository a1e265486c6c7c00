"""English prose that every Python installation has: the docstrings of its standard library."""

from __future__ import annotations

import ast
import re
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from learning.columns import IntColumn
from learning.data.dataset import DATASETS, BadData, Dataset
from learning.streams import Streams

ALPHABET = " abcdefghijklmnopqrstuvwxyz0123456789.,:;'\"()-_=/#"
OTHER = len(ALPHABET)
"""Token id of every other character."""

CONTEXT = 32
STRIDE = 8
LEAST, MOST = 4_000, 16_000
"""Characters of a module: one with fewer is left out, one with more is cut."""


@DATASETS.register("stdlib_text")
def stdlib_text(folder: Path) -> Dataset:
    """English prose: docstrings of Python's standard library, a group per module; 32 characters given, the next asked.

    Lower case, white space as single blanks, 51 characters in all. The last fifth of each module's text is for testing.
    Both halves are in a fixed random order, so the first samples are no biased choice.
    The text is that of the running interpreter: the same for everybody with the same Python version, and no longer.
    Raises ``BadData`` where Python was installed without its sources.
    """
    return _built()


@lru_cache(maxsize=1)
def _built() -> Dataset:
    texts = [text[:MOST] for text in _module_texts() if len(text) >= LEAST]
    if len(texts) < 2:
        raise BadData("stdlib_text", "the sources of Python's standard library are not installed")
    train, test = [], []
    for text in texts:
        ids = np.array([_IDS.get(character, OTHER) for character in text], dtype=np.int64)
        cut = len(ids) * 4 // 5
        train.append(_windows(ids[:cut]))
        test.append(_windows(ids[cut:]))
    groups = np.repeat(np.arange(len(texts)), [len(windows) for windows in train])
    streams = Streams(0)  # the data set is the same in every run, whatever the run's seed
    mixed = [
        streams.generator("prose order", half).permutation(sum(len(windows) for windows in part))
        for half, part in enumerate((train, test))
    ]
    halves = [np.concatenate(part)[order] for part, order in zip((train, test), mixed, strict=True)]
    (x_train, y_train), (x_test, y_test) = ((rows[:, :-1].astype(np.float32), rows[:, -1].copy()) for rows in halves)
    classes = OTHER + 1
    return Dataset("stdlib_text", x_train, y_train, x_test, y_test, classes, groups[mixed[0]], vocabulary=classes)


def _windows(ids: IntColumn) -> NDArray[np.int64]:
    """Each ``STRIDE``-th stretch [n, CONTEXT + 1] of a text."""
    return np.lib.stride_tricks.sliding_window_view(ids, CONTEXT + 1)[::STRIDE]


_IDS = {character: number for number, character in enumerate(ALPHABET)}


def _module_texts() -> list[str]:
    """The joined docstrings of each top-level module that has a source file, in the order of names. Runs none."""
    root = Path(sysconfig.get_paths()["stdlib"])
    texts = []
    for name in sorted(sys.stdlib_module_names):
        for path in (root / f"{name}.py", root / name / "__init__.py"):
            if path.is_file():
                texts.append(_prose(path))
                break
    return texts


def _prose(path: Path) -> str:
    """All docstrings of a file in the order of the text, as lower-case words with single blanks between."""
    tree = ast.parse(path.read_bytes())
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [(node, ast.get_docstring(node)) for node in ast.walk(tree) if isinstance(node, owners)]
    found.sort(key=lambda pair: getattr(pair[0], "lineno", 0))
    return re.sub(r"\s+", " ", " ".join(text for _, text in found if text)).lower()
