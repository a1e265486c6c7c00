"""The study file: which scenarios are played, what varies, how often, and what is looked at afterwards."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from scenarios.choices import Named, as_named, check_named
from scenarios.schema import Spec
from scenarios.studies.designs import Design, designs
from scenarios.studies.factors import problem
from scenarios.tables import RUNS

LABEL = r"^[A-Za-z0-9][A-Za-z0-9 _.+-]*$"
MEASURES = tuple(column.name for column in RUNS.columns if column.kind in ("int", "float") and column.name != "seed")
"""Columns of the ``runs`` table that can be studied."""

TableName: TypeAlias = Literal[
    "runs", "rounds", "owners", "transfers", "episodes", "edges", "events", "network", "images", "audits"
]
Label = Annotated[str, Field(pattern=LABEL, max_length=60)]
if TYPE_CHECKING:
    DesignChoice: TypeAlias = Named
else:
    DesignChoice = Annotated[
        Named,
        AfterValidator(partial(check_named, designs, frozenset())),
        BeforeValidator(partial(as_named, designs, "kind")),
    ]


class Measure(Spec):
    """A number of each run, looked at across runs: a column of ``runs``, or a total over another table."""

    name: Label = Field(description="what it is called")
    table: TableName = Field("runs", description="the table it comes from")
    value: str = Field("", min_length=0, max_length=400, description="SQL of one number per run, such as avg(lying)")


class Resources(Spec):
    """What one run takes."""

    cpus: Annotated[float, Field(gt=0, le=4096)] = Field(1.0, description="CPU cores of a run")
    gpus: Annotated[float, Field(ge=0, le=64)] = Field(
        0.0, description="share of a GPU of a run, such as 0.25; 0: runs share what device says"
    )


class Replications(Spec):
    """How often each combination is played: always ``least`` times, more until the interval is narrow enough."""

    least: Annotated[int, Field(ge=2, le=1_000_000)] = Field(10, description="played at once")
    most: Annotated[int, Field(ge=2, le=1_000_000)] = Field(200, description="never more")
    measure: str = Field("final_accuracy", description="column of the runs table whose mean is wanted")
    width: Annotated[float, Field(gt=0)] = Field(description="wanted width of the confidence interval of each mean")
    confidence: Annotated[float, Field(gt=0, lt=1)] = Field(0.95, description="confidence of the interval")


class Study(Spec):
    """One study."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=80)] = Field(
        "study", description="short name: lower-case letters, digits, - and _"
    )
    title: str = Field("", description="one line")
    description: str = Field("", description="what the study asks")
    scenarios: dict[Label, str] = Field(description="scenario files or ready-made names, by label; or a list of them")
    set: dict[str, Any] = Field(default_factory=dict, description="fields set to one value in all scenarios")
    factors: dict[str, Any] = Field(
        default_factory=dict, description="fields that vary: a list of levels, or {low, high, scale, whole, steps}"
    )
    design: DesignChoice = Field(Named(name="grid"), description="which combinations are played")
    replications: Annotated[int, Field(ge=1, le=1_000_000)] | Replications = Field(
        1, description="how often each combination is played, with other seeds; or {least, most, measure, width}"
    )
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(1, description="root of the design and of the runs' seeds")
    pairing: Literal["paired", "independent"] = Field(
        "paired", description="paired: replication k has the same seed, so the same people, in every combination"
    )
    measures: Annotated[list[str | Measure], Field(min_length=1)] = Field(
        ["final_accuracy", "welfare"], description="what the report is about: columns of runs, or {name, table, value}"
    )
    baseline: dict[str, Any] = Field(
        default_factory=dict, description="what differences are taken to: a scenario, or values of factors"
    )
    keep: Annotated[list[TableName], Field(min_length=1)] = Field(
        list(get_args(TableName)), description="tables whose rows are kept; runs always are"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where to train")
    resources: Resources = Field(default_factory=Resources, description="what one run takes")

    @model_validator(mode="before")
    @classmethod
    def _labelled(cls, content: Any) -> Any:
        """Scenarios given as a list are labelled by their own names."""
        named = content.get("scenarios") if isinstance(content, dict) else None
        if isinstance(named, str):
            named = [named]
        if not isinstance(named, list) or not all(isinstance(source, str) for source in named):
            return content
        from pathlib import PurePath

        labels = [PurePath(source).stem for source in named]
        twice = next((label for label in labels if labels.count(label) > 1), None)
        if twice is not None:
            raise problem("scenarios", twice, "two scenarios of this name: give them labels, as {label: file}")
        return {**content, "scenarios": dict(zip(labels, named, strict=True))}

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        if not self.scenarios:
            raise problem("scenarios", None, "at least one scenario must be named")
        for measure in self.measures:
            if isinstance(measure, str) and measure not in MEASURES:
                raise problem("measures", measure, f"no measure, known: {', '.join(MEASURES)}")
            if isinstance(measure, Measure) and not measure.value:
                raise problem("measures", measure.name, "value is missing: SQL of one number per run")
        names = self.measure_names
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise problem("measures", twice, "two measures of this name")
        if isinstance(self.replications, Replications):
            if self.replications.most < self.replications.least:
                raise problem("replications.most", self.replications.most, "must be at least as large as least")
            if self.replications.measure not in MEASURES:
                raise problem(
                    "replications.measure", self.replications.measure, f"no measure, known: {', '.join(MEASURES)}"
                )
        return self

    @property
    def measure_names(self) -> list[str]:
        """Names of the measures, in order."""
        return [measure if isinstance(measure, str) else measure.name for measure in self.measures]

    @property
    def chosen_design(self) -> Design:
        """The design, built."""
        build: Callable[..., Design] = designs()[self.design.name]
        return build(**self.design.params)
