"""The game that one round's uploads play: a coalition is worth what its weighted mean is worth."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from learning.aggregation import finite
from learning.columns import BoolColumn, FloatColumn
from learning.contribution.game import Game
from learning.contribution.mixtures import MIXTURES, Mixtures, choose_mixtures
from learning.evaluation import losses
from learning.memory import OutOfMemory, fits, tell_halving
from learning.models import FlatModel

WORTHS = ("accuracy", "negative_loss")


class RoundGame(Game):
    """Worth of coalitions of uploads [K, P] with aggregation weights [K], on samples x [n, *shape], labels y [n].

    A coalition's model is the weighted mean of its uploads, or the base [P] if it is empty or has no weight. Its worth
    is the accuracy in [0, 1] or the negative mean cross-entropy in nats. ``evaluation`` says how models are evaluated:
    "plain", "linear" or "auto", the faster of those that fit; accuracies are the same.
    Raises ``ValueError`` for weights that are negative or not finite, uploads that are not finite, no samples, and
    unknown names.
    """

    def __init__(
        self,
        model: FlatModel,
        base: Tensor,
        uploads: Tensor,
        weights: FloatColumn,
        x: Tensor,
        y: Tensor,
        *,
        worth: str = "accuracy",
        evaluation: str = "auto",
    ) -> None:
        super().__init__(len(uploads))
        if len(weights) != len(uploads) or not (np.isfinite(weights).all() and (weights >= 0).all()):
            raise ValueError("every upload needs a weight of at least 0")
        if not finite(uploads).all():
            raise ValueError("uploads with NaN or infinite weights have no Shapley value; leave them out")
        if worth not in WORTHS:
            raise ValueError(f"unknown worth '{worth}', expected one of: {', '.join(WORTHS)}")
        if len(y) == 0:
            raise ValueError("without test samples no coalition has a worth")
        self._model, self._x, self._y, self._worth = model, x, y, worth
        # The base is one more player: it stands alone for coalitions without weight.
        self._rows = torch.cat([uploads, base.unsqueeze(0)])
        self.weights = np.asarray(weights, dtype=np.float64)
        self.evaluation = choose_mixtures(model, self._rows, len(y)) if evaluation == "auto" else evaluation
        self._kind = MIXTURES[self.evaluation]
        self._mixtures: Mixtures | None = None

    def evaluate(self, members: BoolColumn) -> FloatColumn:
        return self._worths(self._mix(members))

    def _worths(self, mix: FloatColumn) -> FloatColumn:
        """Worths [M] of models that are mixtures [M, K + 1]; where memory runs out, in halves, and the plain way."""
        found = np.zeros(0)

        def attempt() -> None:
            nonlocal found
            if self._mixtures is None:  # not before the first question: preparing it costs about K evaluations
                self._mixtures = self._kind(self._model, self._rows, self._x, self._y)
            found = self._mixtures.accuracy(mix) if self._worth == "accuracy" else -self._mixtures.loss(mix)

        if fits(attempt, self._rows.device):
            return found
        if self._kind is not MIXTURES["plain"]:  # which keeps nothing
            tell_halving("coalitions with the first layer's outputs kept", len(mix), len(mix))
            self._kind, self._mixtures, self.evaluation = MIXTURES["plain"], None, "plain"
            return self._worths(mix)
        if len(mix) <= 1:
            raise OutOfMemory("out of memory: the model of one coalition does not fit on this device")
        middle = len(mix) // 2
        tell_halving("models of coalitions", len(mix), len(mix) - middle)
        return np.concatenate([self._worths(mix[:middle]), self._worths(mix[middle:])])

    def updates(self) -> Tensor:
        """What the uploads changed [K, P]: their weights less the base."""
        return self._rows[:-1] - self._rows[-1]

    def losses_alone(self) -> FloatColumn:
        """Test loss [K + 1] in nats of every upload alone, and of the base."""
        return losses(self._model, self._rows, self._x, self._y)

    def _mix(self, members: BoolColumn) -> FloatColumn:
        """Shares [M, K + 1] of the uploads and the base in the coalitions' models; every row sums to 1."""
        held = members * self.weights
        total = held.sum(axis=1, keepdims=True)
        return np.hstack([held / np.where(total > 0, total, 1.0), total == 0])
