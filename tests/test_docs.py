"""The pages say what the code says: generated parts are fresh, every name is documented, every anchor exists."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from learning.registry import Registry
from scenarios import registries, schema
from scenarios.loading import library

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
FLOORS = ("learning", "market", "agents", "scenarios")


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sources() -> Iterator[ast.AST]:
    """The modules of all floors, parsed."""
    for floor in FLOORS:
        for path in sorted((ROOT / floor).rglob("*.py")):
            yield ast.parse(path.read_text(encoding="utf-8"))


def calls(*names: str) -> Iterator[ast.Call]:
    """All calls of methods of these names."""
    for source in sources():
        for node in ast.walk(source):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names:
                yield node


def headings(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#+ (.+)$", text, re.MULTILINE)


# ---- generated parts ----------------------------------------------------------------------------------------------


def test_the_generated_parts_are_up_to_date(generator, capsys):
    code = generator.main(["--check"])
    assert (code, capsys.readouterr().out) == (0, ""), "run: python docs/generate.py"


def test_an_outdated_part_is_found_and_rewritten(generator, tmp_path, capsys):
    for page in PAGES:
        shutil.copy(page, tmp_path)
    page = tmp_path / "odd.md"
    fresh = page.read_text()
    page.write_text(fresh.replace("| `enforcement.audit_rate` | number from 0 to 1 | `0` |", "| `audit_rate` |"))
    outdated = page.read_text()
    assert outdated != fresh
    assert generator.main([str(tmp_path), "--check"]) == 1
    assert capsys.readouterr().out == "out of date: odd.md\n"
    assert page.read_text() == outdated, "a check changes nothing"
    assert generator.main([str(tmp_path)]) == 0
    assert page.read_text() == fresh


def test_a_part_of_an_unknown_name_is_refused(generator):
    with pytest.raises(KeyError, match="nothing"):
        generator.renewed("<!-- generated: nothing --><!-- end of nothing -->")


def test_every_part_that_can_be_generated_is_on_a_page_and_every_marker_has_its_end(generator):
    opened = [name for page in PAGES for name in re.findall(r"<!-- generated: (.+?) -->", page.read_text())]
    closed = [name for page in PAGES for name in re.findall(r"<!-- end of (.+?) -->", page.read_text())]
    assert opened == closed
    assert set(opened) == set(generator.PARTS)


def leaves(content: dict[str, object], path: str = "") -> Iterator[str]:
    for name, value in content.items():
        if isinstance(value, dict) and not ({"name", "kind"} & set(value) and path):
            yield from leaves(value, f"{path}{name}.")
        else:
            yield path + name


def test_the_parameter_table_has_one_line_for_each_parameter_of_a_resolved_scenario(generator):
    resolved = schema.Scenario.model_validate({}).model_dump(mode="json")
    expected = list(leaves(resolved))
    place = expected.index("learning.generation") + 1  # left out by default, with parameters of its own
    expected[place:place] = [f"learning.generation.{name}" for name in schema.GenerationSpec.model_fields]
    lines = generator.parameters().splitlines()[2:]
    assert [re.match(r"\| `([\w.]+)` \|", line)[1] for line in lines] == expected
    assert all(line.rstrip(" |").count("|") >= 4 for line in lines), "every parameter has a meaning"


# ---- nothing is left out ------------------------------------------------------------------------------------------

REGISTRIES = [
    registries.strategies,
    registries.strategy_transformers,
    registries.mechanisms,
    registries.participation_rules,
    registries.patience_kinds,
    registries.arrival_processes,
    registries.audit_policies,
    registries.detectors,
    registries.slashing_schedules,
    registries.admissions,
    registries.deposit_schedules,
    registries.bans,
    registries.appeals,
    registries.regulations,
    registries.adaptation_rules,
    registries.distributions,
    registries.partitions,
    registries.datasets,
    registries.models,
    registries.algorithms,
    registries.contribution_methods,
    registries.staleness_functions,
    registries.merging_rules,
    registries.robust_rules,
    registries.server_optimizers,
    registries.rivalries,
    registries.faults,
    registries.generators,
]


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda registry: registry.__name__)
def test_every_registered_name_is_on_a_page(registry):
    text = "".join(page.read_text() for page in PAGES)
    entries: Registry[object] = registry()
    assert len(entries) > 1
    assert not [name for name in entries if f"`{name}`" not in text]


def test_every_ready_made_scenario_is_in_the_changelog():
    text = (ROOT / "CHANGELOG.md").read_text()
    assert not [name for name in library() if f"`{name}`" not in text]


def test_the_changelog_starts_with_the_version_of_the_package():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0] == version


def test_the_odd_has_its_seven_elements_and_eleven_design_concepts_in_order():
    elements = [heading for heading in headings(DOCS / "odd.md") if re.match(r"\d\. ", heading)]
    assert elements == [
        "1. Purpose and patterns",
        "2. Entities, state variables and scales",
        "3. Process overview and scheduling",
        "4. Design concepts",
        "5. Initialization",
        "6. Input data",
        "7. Submodels",
    ]
    text = (DOCS / "odd.md").read_text()
    section = text[text.index("## 4. ") : text.index("## 5. ")]
    assert re.findall(r"^\*\*(.+?)\.\*\*", section, re.MULTILINE) == [
        "Basic principles",
        "Emergence",
        "Adaptation",
        "Objectives",
        "Learning",
        "Prediction",
        "Sensing",
        "Interaction",
        "Stochasticity",
        "Collectives",
        "Observation",
    ]


def test_the_odd_names_every_purpose_that_random_numbers_are_drawn_for():
    section = (DOCS / "odd.md").read_text().split("**Stochasticity.**")[1].split("**Collectives.**")[0]
    named = {re.sub(r"/<.*", "/", purpose) for purpose in re.findall(r"`([^`]+)`", section)}
    used = set()
    for call in calls("uniform", "normal", "exponential", "integers", "generator"):
        purpose = call.args[0] if call.args else None
        if isinstance(purpose, ast.Constant) and isinstance(purpose.value, str):
            used.add(purpose.value)
        elif isinstance(purpose, ast.JoinedStr) and isinstance(purpose.values[0], ast.Constant):
            used.add(str(purpose.values[0].value))  # the fixed beginning, such as "type/"
    assert {"audit", "thinking", "noise upload", "type/", "strategy/"} <= used
    assert not {purpose for purpose in used if not purpose.startswith("partition/")} - named
    assert {"/".join(purpose.split("/")[:2]) for purpose in used if purpose.startswith("partition/")} <= named


def test_the_results_page_names_every_kind_of_posting():
    text = (DOCS / "results.md").read_text()
    kinds = {
        call.args[1].value for call in calls("post") if len(call.args) > 1 and isinstance(call.args[1], ast.Constant)
    }
    assert {"payment", "slash"} <= kinds
    assert set(re.findall(r"^\| `([a-z ]+)` \| [a-z']+.* \| .* \| .* \|$", text, re.MULTILINE)) == kinds


# ---- links --------------------------------------------------------------------------------------------------------


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_anchor_exists(page):
    for target, place in re.findall(r"\]\((?!\w+:)([^)#]*)#([^)]+)\)", page.read_text()):
        goal = page.parent / target if target else page
        assert place in {anchor(heading) for heading in headings(goal)}, f"{target}#{place}"


def test_every_page_can_be_reached_from_the_index_and_from_the_readme():
    names = {page.name for page in PAGES}
    assert set(re.findall(r"\]\((\w+\.md)\)", (DOCS / "README.md").read_text())) == names - {"README.md"}
    assert set(re.findall(r"\]\(docs/(\w+\.md)\)", (ROOT / "README.md").read_text())) == names
