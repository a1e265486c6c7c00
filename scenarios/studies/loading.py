"""From a study file, or the name of a ready-made one, to a checked ``Study``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from scenarios.errors import BadInput
from scenarios.loading import read_mapping, short_name
from scenarios.problems import first_problem
from scenarios.studies.factors import Factor, Range
from scenarios.studies.ready_made import find_study
from scenarios.studies.schema import Study
from scenarios.yaml_text import write_yaml


def load_study(source: str | Path) -> tuple[Study, Path]:
    """The study in a file or of that name in the library, and the file. Raises ``BadInput``.

    Checked is what the file says by itself; whether scenarios know its fields is checked by planning.
    """
    path = find_study(source)
    content = read_mapping(path)
    content.setdefault("name", short_name(path.stem))
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        problem = first_problem(error, content, Study)
        # Pydantic names the branch of a union that it tried; a user wrote no such thing.
        field = [str(step) for step in problem.field if str(step) not in _BRANCHES]
        raise BadInput(str(path), ".".join(field), problem.value, problem.expected, problem.problem) from None
    factors_of(study, path)
    return study, path


_BRANCHES = {"Replications", "Measure", "constrained-int", "function-after[_consistent(), Replications]", "str", "int"}


def factors_of(study: Study, path: Path) -> list[Factor]:
    """The factors of a study, checked. Raises ``BadInput``: a range without sense, no level, fields that clash."""
    factors = []
    for field, written in study.factors.items():
        place = f"factors.{field}"
        if isinstance(written, dict):
            try:
                factors.append(Factor(field, range=Range.model_validate(written)))
            except ValidationError as error:
                problem = first_problem(error, written, Range)
                where = ".".join([place, *map(str, problem.field)])
                raise BadInput(str(path), where, problem.value, problem.expected, problem.problem) from None
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
