"""From a scenario file, or the name of a ready-made one, to a checked ``Scenario``; and back to text."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scenarios.errors import BadInput
from scenarios.yaml_text import MAX_BYTES, BadYaml, read_yaml, write_yaml

if TYPE_CHECKING:
    from scenarios.problems import Problem
    from scenarios.schema import Scenario

LIBRARY = Path(__file__).parent / "library"
_OPTION = "--set"

PATHS = ("files", "tokenizer", "path", "file")
"""Parameters of data sets, models and arrival processes that may be paths."""

Field = tuple[str | int, ...]
"""Where a value stands: keys and list places from the top down."""


def library() -> dict[str, tuple[str, str]]:
    """Title and description of every ready-made scenario by name, in alphabetical order."""
    return described(LIBRARY)


def described(folder: Path) -> dict[str, tuple[str, str]]:
    """Title and description of every file of a folder by its name, in alphabetical order."""
    entries = {}
    for path in sorted(folder.glob("*.yaml")):
        content = read_mapping(path)
        entries[path.stem] = (str(content.get("title", "")), " ".join(str(content.get("description", "")).split()))
    return entries


def load_scenario(source: str | Path, *, overrides: Sequence[str] = (), seed: int | None = None) -> Scenario:
    """The scenario in the file ``source`` (or of that name in the library), wholly checked.

    ``overrides`` are ``path.to.key=value`` texts, the value in YAML, list places as numbers counted from 0; ``seed``
    replaces the scenario's own. A data file named in a scenario file is looked for beside that file first. Raises
    ``BadInput`` for whatever is wrong with any of it.
    """
    path = find_scenario(source)
    return check_scenario(read_scenario(path), path, overrides=overrides, seed=seed)


def read_scenario(path: Path) -> dict[str, Any]:
    """What a scenario file says, unchecked, with a name and with the paths of files beside it made absolute."""
    content = read_mapping(path)
    content.setdefault("name", short_name(path.stem))
    _anchor_files(content, path.parent)
    return content


def check_scenario(
    content: dict[str, Any], path: Path, *, overrides: Sequence[str] = (), seed: int | None = None
) -> Scenario:
    """The scenario that ``read_scenario`` found in the file, with changes as in ``load_scenario``, wholly checked.

    ``content`` stays as it is, so that one file can be checked with many changes. Raises ``BadInput``.
    """
    from pydantic import ValidationError

    from scenarios.problems import Problem, first_problem
    from scenarios.schema import Scenario

    content = dict(content)
    defaults = _defaults() if overrides else {}
    changed = [_override(content, defaults, text) for text in overrides]
    if seed is not None:
        content["seed"] = seed
        changed.append(("seed",))
    try:
        scenario = Scenario.model_validate(content)
    except ValidationError as error:
        raise _refusal(first_problem(error, content, Scenario), path, changed) from None
    checked = _with_learning(scenario, content)
    if isinstance(checked, Problem):
        raise _refusal(checked, path, changed)
    problem = _type_problem(checked, content)
    if problem is not None:
        raise _refusal(problem, path, changed)
    return checked


def resolved_yaml(scenario: Scenario) -> str:
    """Every parameter of the scenario as YAML; loading that again gives an equal scenario."""
    return write_yaml(scenario.model_dump(mode="json"))


def find_scenario(source: str | Path) -> Path:
    """The file that ``source`` means: a path, or the name of a ready-made scenario. Raises ``BadInput``."""
    return find_ready_made(source, LIBRARY, "scenario")


def find_ready_made(source: str | Path, folder: Path, kind: str) -> Path:
    """The file that ``source`` means: a path, or the name of one in ``folder``; ``kind`` says what these are.

    Raises ``BadInput``.
    """
    path, text = Path(source), str(source)
    if path.suffix in (".yaml", ".yml") or len(path.parts) != 1 or path.exists():
        return path
    ready_made = sorted(entry.stem for entry in folder.glob("*.yaml"))
    if text in ready_made:
        return folder / f"{text}.yaml"
    near = difflib.get_close_matches(text, ready_made, n=1, cutoff=0.6)
    hint = f"did you mean '{near[0]}'?" if near else f"ready-made ones: {', '.join(ready_made)}"
    raise BadInput(kind.upper(), "", text, problem=f"no such file or ready-made {kind}, {hint}")


def _with_learning(scenario: Scenario, content: dict[str, Any]) -> Scenario | Problem:
    """The scenario with all parameters of the rules of learning, or what is wrong with its model or a rule.

    The schema leaves these to us, for it must not import torch.
    """
    from pydantic_core import PydanticCustomError

    from scenarios import choices, registries
    from scenarios.problems import Problem, as_written

    checked = _with_model(scenario, content)
    if isinstance(checked, Problem):
        return checked
    scenario = checked
    for part, field, kind in (
        ("learning", "algorithm", registries.algorithms),
        ("learning", "aggregation", registries.robust_rules),
        ("learning", "server", registries.server_optimizers),
        ("learning", "personalization", registries.personalization_methods),
        ("learning", "contribution", registries.contribution_methods),
        ("round", "merging", registries.merging_rules),
    ):
        above = getattr(scenario, part)
        chosen = getattr(above, field)
        if chosen is None:
            continue
        try:
            whole = choices.check_named(kind, frozenset(), chosen)
        except PydanticCustomError as error:
            found = error.context or {}
            below = tuple(step for step in str(found["field"]).split(".") if step)
            return Problem(as_written((part, field, *below), content), found["value"], problem=str(found["expected"]))
        scenario = scenario.model_copy(update={part: above.model_copy(update={field: whole})})
    return _with_generator(scenario, content)


def _with_generator(scenario: Scenario, content: dict[str, Any]) -> Scenario | Problem:
    """The scenario with all parameters of its generator of synthetic data, or what is wrong with it."""
    from pydantic_core import PydanticCustomError

    from scenarios import choices, registries
    from scenarios.problems import Problem, as_written

    spec = scenario.learning.generation
    if spec is None:
        return scenario
    try:
        whole = choices.check_named(registries.generators, frozenset(), spec.generator)
    except PydanticCustomError as error:
        found = error.context or {}
        below = tuple(step for step in str(found["field"]).split(".") if step)
        where = as_written(("learning", "generation", "generator", *below), content)
        return Problem(where, found["value"], problem=str(found["expected"]))
    generation = spec.model_copy(update={"generator": whole})
    return scenario.model_copy(update={"learning": scenario.learning.model_copy(update={"generation": generation})})


def _with_model(scenario: Scenario, content: dict[str, Any]) -> Scenario | Problem:
    """The scenario with all parameters of its model, or what is wrong with it; a bare name stays one."""
    from pydantic_core import PydanticCustomError

    from learning.trust import CodeNotAllowed, check_code
    from scenarios import choices, registries
    from scenarios.problems import Problem, as_written

    model = scenario.learning.model
    if isinstance(model, str) and ":" in model:
        try:
            check_code(model)
        except CodeNotAllowed as error:
            return Problem(as_written(("learning", "model"), content), model, problem=str(error))
        return scenario  # the path of a user's own module, imported when the run is built
    try:
        whole = choices.check_choice(registries.models, frozenset({"shape", "classes", "answers"}), model)
    except PydanticCustomError as error:
        found = error.context or {}
        below = tuple(step for step in str(found["field"]).split(".") if step)
        where = as_written(("learning", "model", *below), content)
        return Problem(where, found["value"], problem=str(found["expected"]))
    return scenario.model_copy(update={"learning": scenario.learning.model_copy(update={"model": whole})})


def _type_problem(scenario: Scenario, content: dict[str, Any]) -> Problem | None:
    """A private type that could be drawn where it has no meaning, such as a negative cost."""
    from agents.parameters import PROBABILITY, Bounds
    from agents.private_types import CENTER_BOUNDS, TYPE_BOUNDS, check_support, make_distribution
    from scenarios.problems import Problem

    places: list[tuple[tuple[str, ...], Bounds]] = [
        (("population", "types", name), bounds) for name, bounds in TYPE_BOUNDS.items()
    ]
    places += [(("centers", name), bounds) for name, bounds in CENTER_BOUNDS.items()]
    for place, bounds in [*places, (("data", "quality"), PROBABILITY)]:
        chosen: Any = scenario
        written: Any = content
        for key in place:
            chosen, written = getattr(chosen, key), written.get(key, {}) if isinstance(written, dict) else {}
        try:
            check_support(place[-1], make_distribution(chosen.name, chosen.params), bounds)
        except ValueError as error:
            return Problem(place, written, problem=str(error))
    return None


@functools.cache
def _defaults() -> dict[str, Any]:
    """A scenario that says nothing, resolved; not to be changed."""
    from scenarios.schema import Scenario

    return Scenario.model_validate({}).model_dump(mode="json")


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise BadInput(str(path), "", None, problem="no such file") from None
    except OSError as error:
        raise BadInput(str(path), "", None, problem=f"cannot be read ({error.strerror})") from None
    try:
        content = read_yaml(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise BadInput(str(path), "", None, "text in UTF-8") from None
    except BadYaml as error:
        raise BadInput(str(path), error.where, None, problem=error.problem) from None
    if content is None:
        return {}  # nothing written: everything by default
    if not isinstance(content, dict):
        raise BadInput(str(path), "", content, "a mapping of keys to values")
    return content


def short_name(stem: str) -> str:
    """A scenario without a name of its own is called like its file."""
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in stem.lower())
    return name.strip("-")[:80] or "scenario"


def _anchor_files(content: dict[str, Any], folder: Path) -> None:
    """Make paths of files beside the scenario file (data, models, traces) absolute: they hold from any folder."""
    population = content.get("population")
    if isinstance(population, dict) and isinstance(population.get("arrivals"), list):
        processes = [_anchored(one, folder) if isinstance(one, dict) else one for one in population["arrivals"]]
        content["population"] = {**population, "arrivals": processes}
    for part, key, ending in (("data", "dataset", ".npz"), ("learning", "model", ".py")):
        spec = content.get(part)
        named = spec.get(key) if isinstance(spec, dict) else None
        if isinstance(spec, dict) and isinstance(named, dict):
            content[part] = {**spec, key: _anchored(named, folder)}
        if not isinstance(spec, dict) or not isinstance(named, str):
            continue
        file, colon, name = named.rpartition(":") if part == "learning" else (named, "", "")
        if file.endswith(ending) and (folder / file).exists():
            content[part] = {**spec, key: f"{(folder / file).resolve()}{colon}{name}"}


def _anchored(named: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A data set, model or process with its parameters; names of files or folders that are there become absolute."""

    def there(value: Any) -> Any:
        if isinstance(value, list):
            return [there(item) for item in value]
        if not isinstance(value, str) or not value or "\n" in value or not (folder / value).exists():
            return value
        return str((folder / value).resolve())

    return {key: there(value) if key in PATHS else value for key, value in named.items()}


def read_changes(texts: Sequence[str]) -> dict[str, Any]:
    """Values by dotted path, of ``path.to.key=value`` texts with YAML values. Raises ``BadInput``."""
    return dict(map(_change, texts))


def _change(text: str) -> tuple[str, Any]:
    path, equals, written = text.partition("=")
    path = path.strip()
    if not equals or not all(path.split(".")):
        raise BadInput(_OPTION, "", text, "path.to.key=value")
    try:
        return path, read_yaml(written)
    except BadYaml as error:
        raise BadInput(_OPTION, path, written, problem=error.problem) from None


def _override(content: dict[str, Any], defaults: dict[str, Any], text: str) -> Field:
    """Put one ``path=value`` into the content and return the path; what the file leaves out comes from the defaults.

    Every mapping and list on the way is copied: with an alias, one of them may stand in two places of the file.
    """
    path, value = _change(text)
    keys = path.split(".")
    place: Any = content
    default: Any = defaults
    walked: list[Any] = []
    for depth, key in enumerate(keys):
        default = default.get(key) if isinstance(default, dict) else None
        step = _step(place, key)
        if step is None:
            above = ".".join(keys[:depth])
            places = f"a place from 0 to {len(place) - 1}" if isinstance(place, list) and place else "no path"
            raise BadInput(_OPTION, path, text.partition("=")[2], f"{places} below {above}")
        walked.append(step)
        if depth == len(keys) - 1:
            place[step] = value
        else:
            inner = place.get(step, default) if isinstance(place, dict) else place[step]
            place[step] = place = _opened(inner)
    return tuple(walked)


def _step(place: Any, key: str) -> str | int | None:
    """The key or list place that ``key`` means in ``place``; None where there is no such thing."""
    if isinstance(place, dict):
        return key
    return int(key) if isinstance(place, list) and key.isdecimal() and int(key) < len(place) else None


def _opened(inner: Any) -> Any:
    """Something whose keys can be set: a copy of a mapping or list, a bare name as the mapping it stands for."""
    if isinstance(inner, str):
        return {"name": inner}
    return {} if inner is None else inner.copy() if isinstance(inner, (dict, list)) else inner


def _refusal(problem: Problem, path: Path, changed: Sequence[Field]) -> BadInput:
    """The problem as an error, blamed on the option that set the field, or else on the file."""
    field, source = problem.field, str(path)
    for option in changed:
        if field[: len(option)] == option or option[: len(field)] == field:
            source = "--seed" if option == ("seed",) else _OPTION
    return BadInput(source, ".".join(map(str, field)), problem.value, problem.expected, problem.problem)
