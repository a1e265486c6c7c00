"""The command line as a user meets it: what it prints, what it leaves behind, and how it refuses."""

from __future__ import annotations

import itertools
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scenarios.catalogue import Kind
from scenarios.cli import main
from scenarios.results import open_run

COMMAND = Path(sys.executable).with_name("datagora")

SMALL = """\
title: A small market
horizon: 5
population:
  initial: 8
  strategies: [honest, {name: free_rider_global, share: 0.8}, misreport_size]
market: {budget: 10}
enforcement: {deposit: 2, audit_rate: 0.5, expel_after: 1}
data: {train_limit: 400, test_limit: 200}
"""


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """An empty folder with a small scenario in it; commands run there."""
    (tmp_path / "small.yaml").write_text(SMALL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def played(tmp_path_factory) -> Path:
    """A finished run of the small scenario."""
    folder = tmp_path_factory.mktemp("played")
    (folder / "small.yaml").write_text(SMALL)
    assert main(["run", str(folder / "small.yaml"), "--out", str(folder / "run"), "--quiet"]) == 0
    return folder / "run"


def refused(capfd, *arguments: str) -> str:
    """The single line on standard error that a refused command ends with."""
    before = sorted(Path.cwd().rglob("*"))
    assert main(arguments) == 2
    printed, line = capfd.readouterr()
    assert printed == ""
    assert line.count("\n") == 1
    assert "Traceback" not in line
    assert sorted(Path.cwd().rglob("*")) == before, "something was left behind"
    return line.rstrip("\n")


# ---- run ----------------------------------------------------------------------------------------------------------


def test_run_prints_a_table_and_the_folder_and_keeps_the_tables(place, capfd):
    assert main(["run", "small.yaml", "--out", "here", "--device", "cpu"]) == 0
    printed, news = capfd.readouterr()
    assert news == "playing small, seed 1, 5 windows, on cpu with 1 thread\n"
    assert re.match(r"A small market: accuracy \d+\.\d %", printed)
    assert {"honest", "free_rider_global", "misreport_size"} < set(printed.split())
    assert printed.splitlines()[-1] == "here"
    assert len(open_run(place / "here").rounds) == 5


def test_run_names_its_folder_after_scenario_and_seed(place, capfd):
    assert main(["run", "small.yaml", "--seed", "3", "--set", "horizon=1", "--quiet"]) == 0
    assert capfd.readouterr() == ("runs/small-seed3\n", "")
    run = open_run(place / "runs" / "small-seed3")
    assert run.scenario["seed"] == 3
    assert run.scenario["horizon"] == 1


def test_verbose_prints_a_line_per_window(place, capfd):
    assert main(["run", "small.yaml", "--verbose"]) == 0
    lines = capfd.readouterr().err.splitlines()[1:]
    assert [line.split(":")[0] for line in lines[:5]] == [f"window {number}/5" for number in range(1, 6)]
    assert "clients/s" in lines[5], "and what trained, how fast"
    assert re.fullmatch(r"window 5/5: round \d+, accuracy \d+\.\d %, \d+ owners", lines[4])


def test_the_resolved_scenario_of_a_run_plays_the_same_run_again(place, capfd):
    assert main(["run", "small.yaml", "--set", "market.budget=7", "--seed", "9", "--out", "first"]) == 0
    assert main(["run", "first/scenario.yaml", "--out", "second"]) == 0
    assert (place / "first/events.parquet").read_bytes() == (place / "second/events.parquet").read_bytes()
    capfd.readouterr()


def test_a_run_is_replaced_only_by_force(place, capfd):
    assert main(["run", "small.yaml", "--out", "here", "--quiet"]) == 0
    capfd.readouterr()
    kept = (place / "here/events.parquet").read_bytes()
    assert refused(capfd, "run", "small.yaml", "--out", "here", "--seed", "2").startswith(f"--out: {place / 'here'} ")
    assert (place / "here/events.parquet").read_bytes() == kept
    assert main(["run", "small.yaml", "--out", "here", "--seed", "2", "--force", "--quiet"]) == 0
    assert (place / "here/events.parquet").read_bytes() != kept


def test_a_terminal_sees_a_bar_with_round_accuracy_and_owners(place):
    reader, writer = pty.openpty()
    with subprocess.Popen([COMMAND, "run", "small.yaml"], stderr=writer, stdout=subprocess.PIPE) as process:
        os.close(writer)
        seen = b""
        while True:
            try:
                part = os.read(reader, 65536)
            except OSError:  # how a terminal says that the other side has gone
                break
            seen += part
            if not part:
                break
        process.communicate()
    os.close(reader)
    assert process.returncode == 0
    assert re.search(rb"round \d+, accuracy \d+\.\d %", seen)
    assert b"owners" in seen


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_so_and_keeps_nothing(place, stop):
    command = [COMMAND, "run", "small.yaml", "--set", "horizon=100000", "--out", "deep/here"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("playing small")
        process.send_signal(stop)
        printed, news = process.communicate(timeout=60)
    assert (process.returncode, printed, news) == (130, "", "interrupted, nothing was kept\n")
    assert [path.name for path in place.iterdir()] == ["small.yaml"]


# ---- what run refuses ---------------------------------------------------------------------------------------------

wrong_scenarios = {
    "unknown key": ("enforcement: {audit_rat: 0.1}", "enforcement.audit_rat: 0.1: unknown key, did you mean"),
    "wrong type": ("horizon: many", "horizon: many: expected a whole number"),
    "negative cost": (
        "population: {types: {cost: {kind: constant, value: -0.5}}}",
        "population.types.cost: {kind: constant, value: -0.5}: cost can be -0.5, expected finite numbers at least 0",
    ),
    "probability above 1": ("enforcement: {audit_rate: 1.5}", "enforcement.audit_rate: 1.5: expected a probability"),
    "zero owners": ("population: {initial: 0}", "population.initial: 0: expected a whole number at least 1"),
    "unknown strategy": (
        "population: {strategies: [honets]}",
        "population.strategies.0: honets: unknown strategy 'honets', did you mean 'honest'?",
    ),
    "unknown mechanism": (
        "market: {mechanism: proportionl}",
        "market.mechanism: proportionl: unknown mechanism 'proportionl', did you mean 'proportional'?",
    ),
    "unknown model": ("learning: {model: mpl}", "learning.model: mpl: unknown model 'mpl', did you mean 'mlp'?"),
    "bad YAML": ("market: [", "line 1: not valid YAML"),
    "a key twice": ("seed: 1\nseed: 2", "line 2: the key 'seed' is given twice"),
    "no data file": ("data: {dataset: none.npz}", "data.dataset: none.npz: "),
    "more shards than samples": ("data: {shards: 300, train_limit: 200}", "data.shards: 300: "),
    "a back-end that cannot train the model": (
        "learning: {model: cnn, backend: linear}",
        "learning.backend: linear: it cannot train the model 'cnn'",
    ),
}


@pytest.mark.parametrize(("text", "tail"), wrong_scenarios.values(), ids=wrong_scenarios)
def test_a_wrong_scenario_is_refused_in_one_line(place, capfd, text, tail):
    (place / "wrong.yaml").write_text(text)
    assert refused(capfd, "run", "wrong.yaml").startswith(f"wrong.yaml: {tail}")


def images(labels: list[int], test_labels: list[int]) -> dict[str, np.ndarray]:
    """A tiny set of grey images with these labels."""
    return {
        "x_train": np.linspace(0, 255, len(labels) * 16).reshape(-1, 4, 4),
        "y_train": np.array(labels),
        "x_test": np.linspace(0, 255, len(test_labels) * 16).reshape(-1, 4, 4),
        "y_test": np.array(test_labels),
    }


wrong_data = {
    "empty": images([], []),
    "a negative label": images([0, 1, -1] * 20, [0, 1]),
    "an unseen test label": images([0, 1] * 20, [0, 7]),
    "an array missing": {key: value for key, value in images([0, 1] * 20, [0, 1]).items() if key != "y_test"},
}


@pytest.mark.parametrize("arrays", wrong_data.values(), ids=wrong_data)
def test_bad_data_is_refused_with_file_and_field(place, capfd, arrays):
    np.savez(place / "own.npz", **arrays)
    (place / "wrong.yaml").write_text("data: {dataset: own.npz}\npopulation: {initial: 4}\n")
    line = refused(capfd, "run", "wrong.yaml")
    assert re.match(r"wrong.yaml: data.dataset: /.*own.npz: .", line)


def test_a_data_file_that_is_none_is_refused(place, capfd):
    (place / "own.npz").write_bytes(b"not an archive")
    assert refused(capfd, "run", "small.yaml", "--set", "data.dataset=own.npz").startswith(
        "--set: data.dataset: own.npz"
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run", "small.yam"], "SCENARIO: small.yam: no such file or ready-made scenario"),
        (["run", "none.yaml"], "none.yaml: no such file"),
        (["run", "small.yaml", "--set", "horizn=3"], "--set: horizn: 3: unknown key, did you mean 'horizon'?"),
        (["run", "small.yaml", "--set", "market.budget"], "--set: market.budget: expected path.to.key=value"),
        (["run", "small.yaml", "--seed", "-1"], "--seed: seed: -1: expected a whole number at least 0"),
        (["run", "small.yaml", "--out", "small.yaml"], "--out: "),
        (["run", "small.yaml", "--out", "small.yaml/below"], "--out: "),
        (["run", "small.yaml", "--sede", "1"], "No such option: --sede"),
        (["run", "small.yaml", "--seed", "one"], "Invalid value for '--seed': "),
        (["run", "small.yaml", "--device", "gpu"], "Invalid value for '--device': 'gpu' is not one of"),
        (["run"], "Missing argument 'scenario'"),
        (["rnu"], "No such command 'rnu'"),
        (["list", "mechanism"], "Invalid value for 'kind': 'mechanism' is not one of 'mechanisms'"),
        (["report", "nowhere"], "nowhere: no such folder"),
        (["report", "."], ".: holds no complete run"),
    ],
)
def test_a_wrong_command_is_refused_in_one_line(place, capfd, arguments, line):
    assert refused(capfd, *arguments).startswith(line)


def test_a_folder_that_cannot_be_written_is_refused(place, capfd):
    assert refused(capfd, "run", "small.yaml", "--out", "/proc/none/here").startswith("/proc/none: ")


def test_cuda_is_refused_where_there_is_none(place, capfd):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    assert refused(capfd, "run", "small.yaml", "--device", "cuda").startswith("--device: cuda: ")


@pytest.mark.parametrize("text", ["horizon: many", "data: {dataset: none.npz}"])
def test_the_installed_command_refuses_in_the_same_way(place, text):
    (place / "wrong.yaml").write_text(text)
    done = subprocess.run([COMMAND, "run", "wrong.yaml"], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("wrong.yaml: ")
    assert sorted(path.name for path in place.iterdir()) == ["small.yaml", "wrong.yaml"]


# ---- report, list, help -------------------------------------------------------------------------------------------


def test_report_prints_where_the_plots_and_the_page_are(played, capfd):
    assert main(["report", str(played)]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[-1] == str(played / "report.html")
    assert len(lines) > 5
    assert all(Path(line).stat().st_size > 0 for line in lines)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Kind.MECHANISMS, "proportional"),
        (Kind.STRATEGIES, "free_rider_noise"),
        (Kind.DATASETS, "fashion_mnist"),
        (Kind.MODELS, "cnn"),
        (Kind.PARTITIONS, "label_shards"),
        (Kind.PARTICIPATION, "logit"),
        (Kind.ADAPTATION, "imitation"),
        (Kind.DISTRIBUTIONS, "lognormal"),
        (Kind.SCENARIOS, "quickstart"),
    ],
)
def test_list_describes_every_entry_of_a_kind(capfd, kind, name):
    assert main(["list", kind.value]) == 0
    title, headings, *lines = [line for line in capfd.readouterr().out.splitlines() if line.strip()]
    assert title.strip() == kind.value
    assert headings.startswith("name")
    described = {line.split()[0]: line.split()[1:] for line in lines if not line.startswith(" ")}
    assert described[name]
    assert all(described.values())


@pytest.mark.parametrize(
    ("kind", "name", "parameters"),
    [
        (Kind.STRATEGIES, "free_rider_noise", "claim_factor: 1.0, scale: 1.0"),
        (Kind.MECHANISMS, "fixed_price", "price: 0.02"),
        (Kind.PARTITIONS, "dirichlet", "alpha: 0.5, min_samples: 2"),
        (Kind.PARTITIONS, "natural", "shards_of: null, min_samples: 2"),
        (Kind.DISTRIBUTIONS, "lognormal", "median, sigma"),
        (Kind.DISTRIBUTIONS, "choice", "values, weights: []"),
    ],
)
def test_list_shows_parameters_with_their_defaults(capfd, kind, name, parameters):
    assert main(["list", kind.value]) == 0
    printed = capfd.readouterr().out
    assert "parameters and defaults" in printed
    assert "`" not in printed
    (line,) = [line for line in printed.splitlines() if line.startswith(f"{name} ")]
    assert line.rstrip().endswith(f"  {parameters}")


def test_list_shows_strategies_family_by_family_the_honest_first(capfd):
    assert main(["list", "strategies"]) == 0
    lines = [line for line in capfd.readouterr().out.splitlines()[2:] if line.strip() and not line.startswith(" ")]
    families = [line.split()[1].rstrip(":") for line in lines]
    assert lines[0].startswith("honest ")
    assert len(set(families)) == len([one for one, _ in itertools.groupby(families)]) >= 8


@pytest.mark.parametrize("kind", [Kind.SCENARIOS])
def test_list_shows_no_column_of_parameters_where_there_are_none(capfd, kind):
    assert main(["list", kind.value]) == 0
    assert "parameters" not in capfd.readouterr().out.splitlines()[1]


def test_list_shows_everything_without_a_kind(capfd):
    assert main(["list"]) == 0
    printed = capfd.readouterr().out.splitlines()
    assert [line.strip() for line in printed if line.strip() in set(Kind)] == [kind.value for kind in Kind]


def test_list_needs_no_torch_but_for_models_and_what_is_made_of_them():
    kinds = [kind.value for kind in Kind if kind not in (Kind.MODELS, Kind.PERSONALIZATION)]
    code = (
        "import sys; from scenarios.cli import main\n"
        f"for kind in {kinds}: assert main(['list', kind]) == 0\n"
        "assert not {'torch', 'mesa', 'matplotlib', 'pandas', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_version_and_help(capfd):
    assert main(["--version"]) == 0
    assert re.fullmatch(r"datagora \d+\.\d+\.\d+\n", capfd.readouterr().out)
    assert main([]) == main(["--help"]) == 0
    printed = capfd.readouterr().out
    assert all(command in printed for command in ("run", "list", "report"))


def test_the_default_folder_is_told_once_and_plainly(capfd):
    assert main(["run", "--help"]) == 0
    assert "[default: runs/<scenario>-seed<seed>]" in " ".join(capfd.readouterr().out.split())


# ---- completion ---------------------------------------------------------------------------------------------------


def completed(words: str) -> list[str]:
    """What bash is offered after these words."""
    variables = {
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
        "_DATAGORA_COMPLETE": "complete_bash",
    }
    done = subprocess.run([COMMAND], env={**os.environ, **variables}, capture_output=True, text=True)
    return done.stdout.split()


def test_the_shell_completes_commands_scenarios_files_kinds_and_devices(place):
    assert completed("datagora re") == ["resume", "reproduce", "report"]
    assert completed("datagora run quick") == ["quickstart"]
    assert completed("datagora run sm") == ["small.yaml"]
    assert completed("datagora list str") == ["strategies"]
    assert completed("datagora run x --device c") == ["cpu", "cuda"]


def test_show_completion_prints_a_script_for_the_shell_it_is_called_from():
    done = subprocess.run(["bash", "-c", f"{COMMAND} --show-completion; true"], capture_output=True, text=True)
    assert "_DATAGORA_COMPLETE=complete_bash" in done.stdout
