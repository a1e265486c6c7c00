"""From a study file, or the name of a ready-made one, to a checked ``Study``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from scenarios.errors import BadInput
from scenarios.loading import read_mapping, short_name
from scenarios.problems import first_problem
from scenarios.studies.factors import Factor, Range
from scenarios.studies.ready_made import find_study
from scenarios.studies.schema import Measure, Replications, Study
from scenarios.yaml_text import write_yaml


def load_study(source: str | Path) -> tuple[Study, Path]:
    """The study in a file or of that name in the library, and the file. Raises ``BadInput``.

    Checked is what the file says by itself; whether scenarios know its fields is checked by planning.
    """
    path = find_study(source)
    content = read_mapping(path)
    content.setdefault("name", short_name(path.stem))
    # Where a number or a mapping may stand, pydantic tells what is wrong with both; a user wrote one of them.
    if isinstance(content.get("replications"), dict):
        _checked(Replications, content["replications"], path, "replications")
    measures = content.get("measures")
    for place, measure in enumerate(measures if isinstance(measures, list) else ()):
        if isinstance(measure, dict):
            _checked(Measure, measure, path, f"measures.{place}")
    study = _checked(Study, content, path, "")
    factors_of(study, path)
    return study, path


_BRANCHES = {"Replications", "Measure", "constrained-int", "function-after[_consistent(), Replications]", "str", "int"}
"""What pydantic calls the branches of a union; no field has such a name."""

Checked = TypeVar("Checked", bound=BaseModel)


def _checked(kind: type[Checked], content: Any, path: Path, place: str) -> Checked:
    """What stands at a place of the file, checked; ``BadInput`` for the first thing that is wrong with it."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        problem = first_problem(error, content, kind)
        steps = [place, *map(str, problem.field)]
        where = ".".join(step for step in steps if step and step not in _BRANCHES)
        raise BadInput(str(path), where, problem.value, problem.expected, problem.problem) from None


def factors_of(study: Study, path: Path) -> list[Factor]:
    """The factors of a study, checked. Raises ``BadInput``: a range without sense, no level, fields that clash."""
    factors = []
    for field, written in study.factors.items():
        place = f"factors.{field}"
        if isinstance(written, dict):
            factors.append(Factor(field, range=_checked(Range, written, path, place)))
            continue
        if not isinstance(written, list):
            raise BadInput(str(path), place, written, "a list of levels, or {low, high}")
        if not written:
            raise BadInput(str(path), place, None, problem="the design is empty: this factor has no level")
        if len({_key(level) for level in written}) < len(written):
            raise BadInput(str(path), place, None, problem="a level is given twice")
        factors.append(Factor(field, tuple(written)))
    return factors


def resolved_study(study: Study) -> str:
    """Every parameter of the study as YAML."""
    return write_yaml(study.model_dump(mode="json"))


def _key(level: Any) -> str:
    return f"{type(level).__name__} {level!r}"
