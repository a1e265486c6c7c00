"""The versions of the global model that somebody still needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from learning.columns import IntColumn


class ModelVersions:
    """Versions [P] by number; the current and the previous one always, older ones as long as somebody holds them.

    Attributes:
        current: number of the latest version, from 0.
    """

    def __init__(self, initial: Tensor) -> None:
        self.current = 0
        self._weights: dict[int, Tensor] = {0: initial}
        self._holds: dict[int, int] = {}

    def __iter__(self) -> Iterator[int]:
        return iter(self._weights)

    def add(self, weights: Tensor) -> None:
        """Make ``weights`` [P] the current version."""
        self.current += 1
        self._weights[self.current] = weights
        self._forget()

    def at(self, version: int) -> Tensor:
        """The weights [P] of a version. Raises ``ValueError`` if it is gone."""
        try:
            return self._weights[version]
        except KeyError:
            raise ValueError(f"global version {version} is not kept (the current one is {self.current})") from None

    def previous(self) -> Tensor | None:
        """The weights [P] before the current ones; None at the start."""
        return self._weights.get(self.current - 1)

    def rows(self, versions: IntColumn) -> Tensor:
        """The weights [K, P] of versions [K]. Raises ``ValueError`` if one is gone."""
        if len(versions) == 0:
            latest = self.at(self.current)
            return latest.new_empty(0, len(latest))
        distinct, places = np.unique(versions, return_inverse=True)
        stacked = torch.stack([self.at(int(version)) for version in distinct])
        return stacked[torch.from_numpy(places).to(stacked.device)]

    def hold(self, version: int, times: int = 1) -> None:
        """Keep a version until it is released as often as it was held. Raises ``ValueError`` if it is gone."""
        self.at(version)
        if times > 0:
            self._holds[version] = self._holds.get(version, 0) + times

    def release(self, version: int, times: int = 1) -> None:
        """Give up so many holds. Raises ``ValueError`` if there are fewer."""
        left = self._holds.get(version, 0) - times
        if left < 0:
            raise ValueError(f"global version {version} is released but was not held so often")
        if left > 0:
            self._holds[version] = left
        else:
            self._holds.pop(version, None)
        self._forget()

    def state(self) -> dict[str, Tensor]:
        """Copies on the CPU of the kept versions and of how often they are held."""
        kept = list(self._weights)
        return {
            "version": torch.tensor(self.current),
            "versions": torch.tensor(kept, dtype=torch.int64),
            "weights": torch.stack([self._weights[version] for version in kept]).cpu().clone(),
            "holds": torch.tensor([self._holds.get(version, 0) for version in kept], dtype=torch.int64),
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` gave. Raises ``ValueError`` if it belongs to another model."""
        latest = self.at(self.current)
        if state["weights"].shape[1] != len(latest):
            raise ValueError(f"the state has {state['weights'].shape[1]} weights, the model {len(latest)}")
        kept = state["versions"].tolist()
        self.current = int(state["version"])
        self._weights = {
            version: row.to(latest.device, copy=True) for version, row in zip(kept, state["weights"], strict=True)
        }
        holds = zip(kept, state["holds"].tolist(), strict=True)
        self._holds = {version: count for version, count in holds if count > 0}

    def _forget(self) -> None:
        for version in list(self._weights):
            if version < self.current - 1 and version not in self._holds:
                del self._weights[version]
