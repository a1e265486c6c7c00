"""What the server does with the aggregate of a round: its own optimizer.

The change of the round, aggregate - weights, is taken for a gradient step (Reddi et al. 2021, "Adaptive federated
optimization", algorithms 1 and 2). An optimizer is frozen parameters; its moments are tensors in a dictionary of their
own, so a checkpoint is a copy of that dictionary. The aggregate may come from any rule: mean, FedNova, robust, buffer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from learning.registry import Registry

State = dict[str, Tensor]


class Overflow(ValueError):
    """What was made of finite uploads is not finite; ``str()`` of it is one line."""


class ServerOptimizer(ABC):
    """Makes the next global model of the current one and the aggregate."""

    def start(self, weights: Tensor) -> State:
        """The state before the first step, for weights [P]."""
        return {}

    @abstractmethod
    def step(self, weights: Tensor, aggregate: Tensor, state: State) -> Tensor:
        """New weights [P]; changes the tensors of ``state``, and neither ``weights`` nor ``aggregate`` [P]."""


SERVER_OPTIMIZERS: Registry[type[ServerOptimizer]] = Registry("server optimizer")


@SERVER_OPTIMIZERS.register("fedavg")
@dataclass(frozen=True)
class FedAvg(ServerOptimizer):
    """The aggregate itself, or a part of the way to it (McMahan et al. 2017).

    At ``learning_rate`` 1 the very tensor is returned, so no bit changes.
    """

    learning_rate: float = 1.0

    def __post_init__(self) -> None:
        _check_positive(learning_rate=self.learning_rate)

    def step(self, weights: Tensor, aggregate: Tensor, state: State) -> Tensor:
        return aggregate if self.learning_rate == 1 else torch.lerp(weights, aggregate, self.learning_rate)


@SERVER_OPTIMIZERS.register("fedavgm")
@dataclass(frozen=True)
class FedAvgM(ServerOptimizer):
    """Server momentum: m <- momentum * m + change, weights + learning_rate * m (Hsu, Qi, Brown 2019)."""

    learning_rate: float = 1.0
    momentum: float = 0.9

    def __post_init__(self) -> None:
        _check_positive(learning_rate=self.learning_rate)
        _check_share(momentum=self.momentum)

    def start(self, weights: Tensor) -> State:
        return {"momentum": torch.zeros_like(weights)}

    def step(self, weights: Tensor, aggregate: Tensor, state: State) -> Tensor:
        moving = state["momentum"].mul_(self.momentum).add_(aggregate - weights)
        return torch.add(weights, moving, alpha=self.learning_rate)


@dataclass(frozen=True)
class _Adaptive(ServerOptimizer):
    """Algorithm 2 of Reddi et al. 2021, without its second moment.

    m <- momentum * m + (1 - momentum) * change; weights + learning_rate * m / (sqrt(v) + adaptivity). As there, v
    starts at adaptivity^2 and moments are not corrected for their start.
    """

    learning_rate: float = 0.1
    momentum: float = 0.9
    adaptivity: float = 1e-3

    def __post_init__(self) -> None:
        _check_positive(learning_rate=self.learning_rate, adaptivity=self.adaptivity)
        _check_share(momentum=self.momentum)

    def start(self, weights: Tensor) -> State:
        return {"momentum": torch.zeros_like(weights), "second": torch.full_like(weights, self.adaptivity**2)}

    def step(self, weights: Tensor, aggregate: Tensor, state: State) -> Tensor:
        change = aggregate - weights
        first = state["momentum"].lerp_(change, 1 - self.momentum)
        self._accumulate(state["second"], change.square_())
        return torch.addcdiv(weights, first, state["second"].sqrt().add_(self.adaptivity), value=self.learning_rate)

    @abstractmethod
    def _accumulate(self, second: Tensor, square: Tensor) -> None:
        """Take the squared change [P] into the second moment [P], in place; ``square`` may be spoiled."""


@SERVER_OPTIMIZERS.register("fedadagrad")
@dataclass(frozen=True)
class FedAdagrad(_Adaptive):
    """Second moment v + change^2; without momentum, as in the paper's experiments."""

    momentum: float = 0.0

    def _accumulate(self, second: Tensor, square: Tensor) -> None:
        second.add_(square)


@dataclass(frozen=True)
class _Forgetting(_Adaptive):
    second_momentum: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_share(second_momentum=self.second_momentum)


@SERVER_OPTIMIZERS.register("fedadam")
@dataclass(frozen=True)
class FedAdam(_Forgetting):
    """Second moment second_momentum * v + (1 - second_momentum) * change^2."""

    def _accumulate(self, second: Tensor, square: Tensor) -> None:
        second.lerp_(square, 1 - self.second_momentum)


@SERVER_OPTIMIZERS.register("fedyogi")
@dataclass(frozen=True)
class FedYogi(_Forgetting):
    """Second moment v - (1 - second_momentum) * change^2 * sign(v - change^2): it moves by small steps only."""

    def _accumulate(self, second: Tensor, square: Tensor) -> None:
        direction = torch.sign(second - square)
        second.sub_(square.mul_(direction), alpha=1 - self.second_momentum)


class Server:
    """An optimizer together with its moments: what a run keeps and a checkpoint stores."""

    def __init__(self, optimizer: ServerOptimizer, weights: Tensor) -> None:
        self.optimizer = optimizer
        self._state = optimizer.start(weights)

    def step(self, weights: Tensor, aggregate: Tensor) -> Tensor:
        """New weights [P] of the current ones and the round's aggregate.

        Raises ``Overflow``, and changes nothing, if one of them or of the moments would not be finite.
        """
        state = {name: moment.clone() for name, moment in self._state.items()}
        stepped = self.optimizer.step(weights, aggregate, state)
        if not all(bool(torch.isfinite(part).all()) for part in (stepped, *state.values())):
            raise Overflow("the aggregate of the uploads overflows")
        self._state = state
        return stepped

    def state(self) -> State:
        """Copies on the CPU of all that changes."""
        return {name: moment.cpu().clone() for name, moment in self._state.items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` gave. Raises ``ValueError`` if it belongs to another optimizer or model."""
        expected = {name: list(moment.shape) for name, moment in self._state.items()}
        given = {name: list(moment.shape) for name, moment in state.items()}
        if given != expected:
            raise ValueError(f"the server optimizer's state is {given}, expected {expected}")
        for name, moment in self._state.items():
            moment.copy_(state[name])


def _check_positive(**values: float) -> None:
    for name, value in values.items():
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name} must be a number above 0, got {value}")


def _check_share(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} must be in [0, 1), got {value}")
