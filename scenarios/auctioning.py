"""``datagora auction train``: a neural auction trained into a file of weights, with news on the way.

The state of the training is kept beside the file after every few steps. The same command, given again after a break,
goes on from there and ends with the weights that an unbroken training would have given.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from learning.registry import UnknownName
from scenarios.auction_state import read_state, write_state
from scenarios.errors import BadInput
from scenarios.places import check_writable

if TYPE_CHECKING:
    from market.privacy_auction.networks.game import AuctionNetwork
    from market.privacy_auction.networks.training import Progress, Training, TrainingPlan

LINES = 20
"""News of a training that does not go to a terminal."""


def network_names() -> list[str]:
    """What can be trained, without loading anything heavy."""
    from market.privacy_auction.rules import NEURAL

    return list(NEURAL)


def train(
    name: str,
    *,
    out: Path | None = None,
    iterations: int | None = None,
    owners: Sequence[int] = (),
    seed: int = 1,
    device: str = "auto",
    force: bool = False,
) -> Path | None:
    """Train the network of that name and write its weights (default ``<name>.safetensors``); returns the file.

    Returns None when interrupted. Raises ``BadInput`` for anything wrong with what was asked.
    """
    if name not in network_names():
        raise BadInput("NETWORK", "", None, problem=str(UnknownName("network", name, network_names())))
    file = out or Path(f"{name}.safetensors")
    if file.is_dir() or (file.exists() and not force):
        raise BadInput("--out", "", str(file), problem="is there already, --force replaces it")
    if not file.absolute().parent.is_dir():
        raise BadInput("--out", "", str(file), problem="its folder does not exist")
    check_writable(file.absolute().parent)
    least = min(owners, default=1)
    if least < 1:
        raise BadInput("--owners", "", least, "whole numbers of at least 1")

    from learning.device import resolve_device, use_threads
    from market.privacy_auction.networks.shipped import new_network
    from market.privacy_auction.networks.training import Training, TrainingPlan

    try:
        where = resolve_device(device)
    except ValueError as problem:
        raise BadInput("--device", "", device, problem=str(problem)) from None
    use_threads(1)  # more would only wait for each other on networks of this size
    network = new_network(name, seed)
    asked: dict[str, Any] = {
        "seed": seed,
        "multiplier": network.first_multiplier,
        "learning_rate": network.learning_rate,
    }
    if iterations is not None:
        asked["iterations"] = iterations
    if owners:
        asked["owners"] = tuple(owners)
    plan = TrainingPlan(**asked)
    training = Training(network, plan, where)
    _resume(training, file, name, plan)
    print(f"training {name}, seed {seed}, {plan.iterations} iterations, on {where.type}", file=sys.stderr)
    progress = None
    try:
        with _told(plan.iterations) as tell:
            for progress in training.steps():
                _keep(training, file, name, plan)
                tell(progress)
    except KeyboardInterrupt:
        print(f"interrupted; the same command goes on from {_checkpoint(file)}", file=sys.stderr)
        return None
    _write(training.network, file, name, plan, progress, _command(name, iterations, owners, seed))
    _checkpoint(file).unlink(missing_ok=True)
    print(file)
    return file


def _command(name: str, iterations: int | None, owners: Sequence[int], seed: int) -> str:
    """The command that gives these weights, as far as they depend on it."""
    words = ["datagora", "auction", "train", name, "--seed", str(seed)]
    words += [] if iterations is None else ["--iterations", str(iterations)]
    words += [word for count in owners for word in ("--owners", str(count))]
    return shlex.join(words)


def _write(
    network: AuctionNetwork, file: Path, name: str, plan: TrainingPlan, progress: Progress | None, command: str
) -> None:
    from market.privacy_auction.networks.shipped import weights_of
    from market.privacy_auction.tensors import write_tensors

    last = {} if progress is None else {key: float(value) for key, value in progress._asdict().items()}
    metadata = {
        "network": name,
        "command": command,
        "seed": str(plan.seed),
        "plan": json.dumps(plan.settings()),
        "last": json.dumps(last),
    }
    write_tensors(file, weights_of(network), metadata)


def _checkpoint(file: Path) -> Path:
    return file.with_name(f"{file.name}.checkpoint")


def _keep(training: Training, file: Path, name: str, plan: TrainingPlan) -> None:
    """Write the state of the training in one move."""
    write_state(_checkpoint(file), {"network": name, "plan": json.dumps(plan.settings())}, training.state())


def _resume(training: Training, file: Path, name: str, plan: TrainingPlan) -> None:
    """Go on from the kept state if there is one. Raises ``BadInput`` where it is of another training."""
    place = _checkpoint(file)
    if not place.exists():
        return
    try:
        about, state = read_state(place, training.optimizer.state_dict()["param_groups"])
        same = about == {"network": name, "plan": json.dumps(plan.settings())}
        if same:
            training.restore(state)
    except (RuntimeError, KeyError, TypeError, ValueError, AttributeError):
        raise BadInput("--out", "", str(place), problem="is not the state of a training, remove it") from None
    if not same:
        raise BadInput("--out", "", str(place), problem="is of another training, remove it or use another --out")


@contextmanager
def _told(iterations: int) -> Iterator[Callable[[Progress], None]]:
    """A bar on a terminal, some lines anywhere else."""
    if not sys.stderr.isatty():
        told = 0

        def tell(progress: Progress) -> None:
            nonlocal told
            if progress.iteration >= told + iterations / LINES or progress.iteration == iterations:
                told = progress.iteration
                print(f"iteration {progress.iteration}/{iterations}: {_news(progress)}", file=sys.stderr)

        yield tell
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = BarColumn(bar_width=30), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn()
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("starting", total=iterations)
        yield lambda progress: bars.update(bar, completed=progress.iteration, description=_news(progress))


def _news(progress: Progress) -> str:
    losses = progress.individual_rationality
    return f"objective {progress.objective:.3f}, regret {progress.regret:.2%}, losses {losses:.2%}"
