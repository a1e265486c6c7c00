"""How much privacy each owner has lost so far, and how much is left to sell."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from learning.columns import BoolColumn, FloatColumn, IntColumn
from learning.privacy import accounting
from learning.privacy.mechanisms import NoiseLaw, gaussian_epsilon, gaussian_noise_multiplier, positive
from learning.privacy.terms import PrivacyTerms

_ROUNDING = 1e-9
"""Share of a budget by which a release may miss it: what is computed to use all of it does, but for rounding."""


class OverBudget(ValueError):
    """A release would cost its owner more privacy than it has. Nothing was spent; ``rows`` [M] are those owners'."""

    def __init__(self, rows: IntColumn) -> None:
        super().__init__(f"privacy budget exceeded by the owners in rows {rows[:10].tolist()} ({len(rows)} in all)")
        self.rows = rows


class PrivacyLedger:
    """Releases added up for N owners, one row each; ``spent`` and ``remaining`` are epsilons at the delta of ``terms``.

    Gaussian releases about all of an owner's data are kept as SUM 1 / (2 s^2), s the noise multiplier, and turned
    into epsilon exactly: any number of them is one Gaussian release with that sum (Dong, Roth, Su 2022, "Gaussian
    differential privacy", corollary 3.3; Smith and Thakurta 2022 for noise that is chosen on the way). So one release
    that sold epsilon by the analytic formula has spent epsilon; classical noise counts as what it is really worth. As
    soon as there are Laplace releases or releases about samples, Renyi curves [N, A] are kept as well and converted by
    ``epsilon_of_rdp``. The sum of the epsilons of the releases counts instead where it is smaller and the sum of their
    deltas is within delta.

    Noise is given as its standard deviation on each weight, as in ``LocalTerms.noise``. Rows are distinct.

    Attributes:
        budget: [N], at least 0: the largest epsilon an owner will ever lose; may be infinite.
        spent: [N], what it has lost. Read only.
        releases: [N], how often it has sent something.
        epsilon_sum, delta_sum: [N], the losses of its releases simply added: what an owner has sold.
    """

    def __init__(self, terms: PrivacyTerms, budget: FloatColumn, *, orders: FloatColumn = accounting.ORDERS) -> None:
        self.terms = terms
        self._orders = accounting.check_orders(orders)
        self.budget = np.empty(0)
        self.spent = np.empty(0)
        self.releases = np.empty(0, dtype=np.int64)
        self.epsilon_sum = np.empty(0)
        self.delta_sum = np.empty(0)
        self._gaussian = np.empty(0)
        self._curve: FloatColumn | None = None
        self.grow(budget)

    def __len__(self) -> int:
        return len(self.budget)

    def grow(self, budget: FloatColumn) -> None:
        """Append rows for owners who have not sent anything yet. Raises ``ValueError`` for a negative or NaN budget."""
        added = np.asarray(budget, dtype=np.float64)
        if not (added >= 0).all():
            raise ValueError("a privacy budget must be a number of at least 0")
        self.budget = np.append(self.budget, added)
        for name in ("spent", "releases", "epsilon_sum", "delta_sum", "_gaussian"):
            column = getattr(self, name)
            setattr(self, name, np.append(column, np.zeros(len(added), dtype=column.dtype)))
        if self._curve is not None:
            self._curve = np.concatenate([self._curve, np.zeros((len(added), len(self._orders)))])

    def remaining(self) -> FloatColumn:
        """budget - spent [N], at least 0."""
        return np.maximum(self.budget - self.spent, 0.0)

    def affordable(self, rows: IntColumn, noise_std: FloatColumn, sampling_rate: ArrayLike = 1.0) -> BoolColumn:
        """Whether [K] owners have the privacy left that a release with such noise [K] costs."""
        return np.asarray(self.spent_after(rows, noise_std, sampling_rate) <= self._limit(rows))

    def spent_after(self, rows: IntColumn, noise_std: FloatColumn, sampling_rate: ArrayLike = 1.0) -> FloatColumn:
        """What [K] owners would have spent after one more release each."""
        return self._spent(*self._sums_after(rows, noise_std, sampling_rate))

    def spend(self, rows: IntColumn, noise_std: FloatColumn, sampling_rate: ArrayLike = 1.0) -> None:
        """Enter one release of each owner in ``rows`` [K], with noise of this standard deviation [K].

        ``sampling_rate`` (a number or [K]): the chance by which an owner's unit of privacy takes part at all, see
        ``subsampled_gaussian_rdp``. Raises ``OverBudget``, and enters nothing, if it is too much for some; and
        ``ValueError`` for rows given twice, and for sampling under terms that sampling does not help.
        """
        gaussian, curve, epsilons, deltas = self._sums_after(rows, noise_std, sampling_rate)
        spent = self._spent(gaussian, curve, epsilons, deltas)
        over = spent > self._limit(rows)
        if over.any():
            raise OverBudget(rows[over])
        if curve is not None:
            if self._curve is None:
                self._curve = np.zeros((len(self), len(self._orders)))
            self._curve[rows] = curve
        self._gaussian[rows], self.epsilon_sum[rows], self.delta_sum[rows] = gaussian, epsilons, deltas
        self.spent[rows] = spent
        self.releases[rows] += 1

    def largest_epsilon(self, rows: IntColumn) -> FloatColumn:
        """The largest epsilon [K] that owners can still sell in one release about all of their data.

        0 for those who are sold out, infinite for an infinite budget. Usually more than ``remaining``, for losses add
        up more slowly than epsilons.
        """
        largest = np.where(np.isinf(self.budget[rows]), np.inf, 0.0)
        open_ = np.flatnonzero((self.spent[rows] < self._limit(rows)) & np.isfinite(self.budget[rows]))
        if len(open_) > 0:
            gaussian = self.terms.mechanism.law is NoiseLaw.GAUSSIAN and self._curve is None
            largest[open_] = (self._gaussian_rest if gaussian else self._searched_rest)(rows[open_])
        return largest

    def _gaussian_rest(self, rows: IntColumn) -> FloatColumn:
        """The epsilon of the Gaussian release whose 1 / (2 s^2) is what the others have left of the budget's."""
        delta, sensitivity = self.terms.delta, self.terms.sensitivity
        whole = 1 / (2 * gaussian_noise_multiplier(self.budget[rows], delta) ** 2)
        rest = np.maximum(whole - self._gaussian[rows], 0.0)
        some = rest > _ROUNDING * whole
        epsilon = np.zeros(len(rows))
        epsilon[some] = self.terms.epsilon(sensitivity / np.sqrt(2 * rest[some]))
        return epsilon

    def _searched_rest(self, rows: IntColumn) -> FloatColumn:
        """The same by halving, from below, for anything that has no formula."""
        low, high = np.zeros(len(rows)), self.budget[rows].copy()
        for _ in range(45):
            middle = 0.5 * (low + high)
            fits = self.affordable(rows, self.terms.noise_std(middle))
            low, high = np.where(fits, middle, low), np.where(fits, high, middle)
        return low

    def _limit(self, rows: IntColumn) -> FloatColumn:
        return np.asarray(self.budget[rows] * (1 + _ROUNDING))

    def _sums_after(
        self, rows: IntColumn, noise_std: FloatColumn, sampling_rate: ArrayLike
    ) -> tuple[FloatColumn, FloatColumn | None, FloatColumn, FloatColumn]:
        """The four sums of these rows with one more release: 1/(2 s^2), curve, epsilons, deltas."""
        if len(np.unique(rows)) < len(rows):
            raise ValueError("an owner can have one release at a time: rows given twice")
        noise = positive("noise_std", noise_std)
        rate = np.broadcast_to(np.asarray(sampling_rate, dtype=np.float64), noise.shape)
        sampled = bool((rate != 1).any())
        laplace = self.terms.mechanism.law is NoiseLaw.LAPLACE
        if sampled and (laplace or self.terms.neighbouring_relation != "add_remove"):
            raise ValueError("sampling amplifies privacy only for Gaussian noise and add_remove neighbours here")
        multiplier = noise / self.terms.sensitivity
        gaussian = self._gaussian[rows] + (0 if laplace else np.where(rate == 1, 1 / (2 * multiplier**2), 0.0))
        curve = None if self._curve is None else self._curve[rows]
        if laplace:
            added = accounting.laplace_rdp(self.terms.epsilon(noise), self._orders)
        elif sampled:
            added = np.zeros((len(rows), len(self._orders)))
            some = rate != 1
            added[some] = accounting.subsampled_gaussian_rdp(multiplier[some], rate[some], self._orders)
        if laplace or sampled:
            curve = added if curve is None else curve + added
        epsilon, delta = self.terms.epsilon(noise), 0.0 if laplace else self.terms.delta
        if sampled:
            epsilon = np.where(rate == 1, epsilon, accounting.epsilon_of_rdp(added, self.terms.delta, self._orders))
        return gaussian, curve, self.epsilon_sum[rows] + epsilon, self.delta_sum[rows] + delta

    def _spent(
        self, gaussian: FloatColumn, curve: FloatColumn | None, epsilons: FloatColumn, deltas: FloatColumn
    ) -> FloatColumn:
        """The epsilon [K] that such sums come to."""
        delta = self.terms.delta
        total = np.zeros(len(gaussian))
        plain = gaussian > 0
        if curve is not None:
            bent = curve.any(axis=1)
            plain &= ~bent
            both = curve[bent] + gaussian[bent, None] * self._orders
            total[bent] = accounting.epsilon_of_rdp(both, delta, self._orders)
            within = bent & (deltas <= delta * (1 + _ROUNDING))
            total[within] = np.minimum(total[within], epsilons[within])
        if plain.any():
            total[plain] = gaussian_epsilon(1 / np.sqrt(2 * gaussian[plain]), delta)
        return total

    # Resumption

    def state(self) -> dict[str, FloatColumn | IntColumn]:
        """Copies of all columns."""
        names = ("budget", "spent", "releases", "epsilon_sum", "delta_sum")
        columns = {name: getattr(self, name).copy() for name in names} | {"gaussian": self._gaussian.copy()}
        return columns if self._curve is None else columns | {"curve": self._curve.copy()}

    def load_state(self, state: Mapping[str, FloatColumn | IntColumn]) -> None:
        """Take over what ``state`` gave, under the same terms and orders."""
        for name in ("budget", "spent", "releases", "epsilon_sum", "delta_sum"):
            setattr(self, name, state[name].copy())
        self._gaussian = np.asarray(state["gaussian"], dtype=np.float64).copy()
        self._curve = np.asarray(state["curve"], dtype=np.float64).copy() if "curve" in state else None
