"""How unlike models are, by what they have learnt."""

from __future__ import annotations

from torch import Tensor

from learning.pairwise import cosines


def update_dissimilarity(models: Tensor, initial: Tensor) -> Tensor:
    """d [K, K], float64, of models [K, P]: 1 - cosine of what they moved from the ``initial`` model [P]; 0 to 2.

    1 where one of the two has not moved, 0 on the diagonal.
    """
    return 1 - cosines(models, initial)
