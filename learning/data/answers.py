"""Answers in words: what a sample of an instruction data set asks for, beside its label.

Such a sample is one row of token ids, [prompt, answer]: the prompt ends where the last ``length`` ids begin, filled up
on its left, and the answer is filled up on its right, both with ``FILL``. So where the answer stands is the same in
every sample, and the label column keeps its meaning: the class of the answer, by which data is dealt out, weighed and
tested.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from learning.columns import FloatColumn, IntColumn

FILL = -1
"""What stands in a row of token ids where there is no token."""


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of an instruction data set of C classes.

    A class is one label word of one domain (the finance set 'fiqa', answered by 'positive'), or a whole domain whose
    answers are free text.

    Attributes:
        length: R, the last ids of a sample, which are the answer with its end token.
        words: the token ids of each class's label word with the end token, () for free text.
        domains: int64 [C], the domain of each class.
        names: what each class is called.
    """

    length: int
    words: tuple[tuple[int, ...], ...]
    domains: IntColumn
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if not len(self.words) == len(self.domains) == len(self.names):
            raise ValueError(f"{len(self.words)} classes have {len(self.domains)} domains, {len(self.names)} names")
        if any(len(word) > self.length for word in self.words):
            raise ValueError(f"a label word is longer than the {self.length} token ids of an answer")

    @cached_property
    def choices(self) -> NDArray[np.int64]:
        """The ids [C, R, M] among which a greedy decoder that must say a label word chooses, ``FILL`` beside them.

        Those at [c, r] may follow the first r ids of class c's word, in some word of its domain. All are ``FILL``
        where every id may: free text.
        """
        allowed: dict[tuple[int, int], list[int]] = {}
        for label, word in enumerate(self.words):
            rivals = [other for other, domain in zip(self.words, self.domains, strict=True)
                      if domain == self.domains[label]]  # fmt: skip
            for place in range(len(word)):
                after = {other[place] for other in rivals if other[:place] == word[:place] and len(other) > place}
                allowed[label, place] = sorted(after)
        most = max(map(len, allowed.values()), default=1)
        table = np.full((len(self.words), self.length, most), FILL, dtype=np.int64)
        for (label, place), ids in allowed.items():
            table[label, place, : len(ids)] = ids
        return table

    def chance(self, labels: IntColumn) -> float:
        """Share of samples [n] that the commonest label word of each domain gets right; free text is not guessed."""
        counts = np.bincount(labels, minlength=len(self.words))
        closed = np.array([len(word) > 0 for word in self.words])
        best = [int(counts[closed & (self.domains == domain)].max(initial=0)) for domain in np.unique(self.domains)]
        return sum(best) / len(labels)

    def wrong(self, labels: IntColumn, rows: IntColumn, rate: float, chance: np.random.Generator) -> IntColumn:
        """Whose answer each sample ``rows`` [k] has when each is wrong with probability ``rate``: sample numbers [k].

        A wrong answer is that of another sample of the same domain: of another label word, or another free text.
        ``labels`` [n] are those of all samples. Whoever has no such other keeps its own.
        """
        wrong, draws = chance.random(len(rows)) < rate, chance.random(len(rows))
        source = rows.copy()
        domains = self.domains[labels]
        for label in np.unique(labels[rows[wrong]]):
            rivals = domains == self.domains[label]
            if self.words[label]:
                rivals &= labels != label
            pool = np.flatnonzero(rivals)
            here = wrong & (labels[rows] == label)
            if len(pool) > 0:
                source[here] = pool[(draws[here] * len(pool)).astype(np.int64)]
        return source


def filled(prompt: list[int], answer: list[int], width: int, length: int) -> FloatColumn:
    """One sample [width + length]: the last ``width`` ids of the prompt, then the first ``length`` of the answer."""
    prompt, answer = prompt[max(0, len(prompt) - width) :], answer[:length]
    row = np.full(width + length, float(FILL))
    row[width - len(prompt) : width] = prompt
    row[width : width + len(answer)] = answer
    return row
