"""What is wrong with an input, in one line that a user can act on."""

from __future__ import annotations

from typing import Any

_SHOWN = 60  # characters of a value that a message repeats
_FIELD = 200  # of a field's path, whose parts may be keys of a file


def shown(value: Any) -> str:
    """The value as a user would write it: one line of at most 60 characters, nothing unprintable."""
    from scenarios.yaml_text import write_line  # imports YAML, which a good command line does not need

    text = value if isinstance(value, str) and value else write_line(value)
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    # The middle goes first: of a long path, the end says which file it is.
    return text if len(text) <= _SHOWN else f"{text[:20]}...{text[23 - _SHOWN :]}"


class BadInput(Exception):
    """An input that cannot be used. ``str()`` of it is one line: where, which field, its value, what is wanted.

    ``source`` is a file or an option, ``field`` a dotted path (may be empty), ``value`` what was found there (None
    where nothing was) and ``expected`` what belongs there; ``problem`` stands in its place when saying what is
    wrong says more.
    """

    def __init__(self, source: str, field: str, value: Any, expected: str = "", problem: str = "") -> None:
        # All of them go to Exception, so that the error survives the way back from a worker process.
        super().__init__(source, field, value, expected, problem)
        self.source = source
        self.field = field
        self.value = value
        self.expected = expected
        self.problem = problem

    def __str__(self) -> str:
        tail = self.problem or f"expected {self.expected}"
        value = "" if self.value is None else shown(self.value)
        field = self.field if len(self.field) <= _FIELD else f"{self.field[:_FIELD]}..."
        return ": ".join(" ".join(part.split()) for part in (self.source, field, value, tail) if part)
