"""Synthetic data of the owners of one federated training: generators fitted once, samples made for each round."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch

from learning.columns import FloatColumn, IntColumn
from learning.generation.augmentation import Synthetic
from learning.generation.class_mix import class_counts, labels_of
from learning.generation.generator import Fitted, Generator
from learning.shards import Shards
from learning.streams import Streams


@dataclass(eq=False)
class Workbench:
    """What owners generate with.

    Attributes:
        generator: what each trains on its own samples, unless all use the ``shared`` one (of public data).
        target: which labels synthetic samples get (``learning.generation.TARGETS``).
        global_mix: [C], the label mix of all owners' data.
    """

    generator: Generator
    shards: Shards
    global_mix: FloatColumn
    target: str
    streams: Streams
    shared: Fitted | None = None
    _fitted: dict[int, Fitted] = field(default_factory=dict)

    def make(self, owner: int, shard: int, samples: int, volume: int, counter: int) -> Synthetic | None:
        """``volume`` synthetic samples of an owner that uses the first ``samples`` of its shard; None for none.

        ``counter`` (the round) keys the draws; the generator is a function of the owner and its shard. Labels go to
        classes that it can make. Without samples of its own an owner can make none, unless there is a shared generator.
        """
        if volume == 0 or (samples == 0 and self.shared is None):
            return None
        begin = int(self.shards.offsets[shard])
        own = self.shards.y[begin : begin + samples]
        counts = torch.bincount(own, minlength=len(self.global_mix)).cpu().numpy()
        fitted = self.shared or self._own(owner, shard)
        labels = labels_of(class_counts(self.target, counts, self.global_mix, volume, fitted.known))
        x = fitted.sample(labels, owner, counter, self.streams)
        return Synthetic(x.to(self.shards.x.device), torch.from_numpy(labels).to(self.shards.y.device))

    def made(
        self, owner: IntColumn, shard: IntColumn, samples: IntColumn, volume: IntColumn, counter: int
    ) -> list[Synthetic | None]:
        """The same for a column of owners."""
        rows = zip(owner.tolist(), shard.tolist(), samples.tolist(), volume.tolist(), strict=True)
        return [self.make(*row, counter) for row in rows]

    def retain(self, owners: IntColumn) -> None:
        """Forget the generators of everybody but ``owners``; fitting again gives the same."""
        for owner in set(self._fitted) - set(owners.tolist()):
            del self._fitted[owner]

    def _own(self, owner: int, shard: int) -> Fitted:
        """The generator that an owner has trained on all of its samples."""
        if owner not in self._fitted:
            begin, end = self.shards.offsets[shard : shard + 2].tolist()
            x, y = self.shards.x[begin:end], self.shards.y[begin:end]
            self._fitted[owner] = self.generator.fit(x, y, len(self.global_mix), owner, 0, self.streams)
        return self._fitted[owner]


def mix_of(shards: Shards) -> FloatColumn:
    """The label mix [C] of all samples of all shards that were dealt, by their true labels."""
    sizes = shards.sizes[: shards.dealt]
    return np.asarray(sizes @ shards.class_mix[: shards.dealt] / sizes.sum())
