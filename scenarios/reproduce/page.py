"""All studies of a system on one HTML page with everything inside."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from scenarios.reproduce import System
from scenarios.reproduce.study import Options, Study
from scenarios.reproduce.verdicts import WORDS

PAGE = "reproduce.html"
_DPI = 150
_DIGITS = 4  # significant ones; the CSV files have more


def png(figure: Figure) -> bytes:
    """The picture as a file; the same figure gives the same bytes."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=_DPI, metadata={"Software": None})
    return stream.getvalue()


def page(system: System, options: Options, studies: Sequence[Study], pictures: Mapping[str, bytes]) -> str:
    """The HTML text; ``pictures`` are PNG files by the name of the study."""
    environment = Environment(
        loader=PackageLoader("scenarios"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    sections = [
        {
            "study": study,
            "rows": [study.cells(row, _DIGITS) for row in study.rows],
            "key_columns": len(study.columns),
            "counts": counts([study]),
            "data": base64.b64encode(pictures[study.name]).decode("ascii"),
        }
        for study in studies
    ]
    return environment.get_template("reproduce.html").render(
        system=system, options=options, counts=counts(studies), sections=sections, version=version("datagora")
    )


def counts(studies: Sequence[Study]) -> list[tuple[str, int]]:
    """How many rows have each verdict."""
    found = Counter(row.verdict.word for study in studies for row in study.rows)
    return [(word, found[word]) for word in WORDS]
