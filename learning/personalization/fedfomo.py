"""FedFomo: each owner weighs other models by what they gain on its own validation samples (Zhang et al. 2021).

"Personalized federated learning with first order model optimization", ICLR 2021.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from learning.columns import FloatColumn
from learning.pairwise import squared_distances
from learning.streams import Streams


def first_order_weights(own: Tensor, offered: Tensor, own_loss: FloatColumn, offered_loss: FloatColumn) -> Tensor:
    """Weights [K, N], float64, of the changes offered[n] - own[k]: apply with ``first_order_mix``.

    w_kn is the fall of owner k's validation loss from its model to model n, by the distance of the two;
    negative ones are cut to 0 and rows scaled to sum 1 (a row where nothing helps is all 0). ``own`` [K, P] are the
    owners' models before the round, ``offered`` [N, P] those they can get, its new one included; ``own_loss`` [K] and
    ``offered_loss`` [K, N] their losses on owner k's samples, NaN where k does not get n. Raises ``ValueError`` for
    losses of other shapes.
    """
    shape = len(own), len(offered)
    if own_loss.shape != shape[:1] or offered_loss.shape != shape:
        raise ValueError(f"losses must be [{shape[0]}] and {list(shape)}, got {own_loss.shape}, {offered_loss.shape}")
    fall = np.nan_to_num(own_loss[:, None] - offered_loss, nan=0.0, posinf=0.0, neginf=0.0)
    gain = torch.from_numpy(np.maximum(fall, 0.0)).to(own.device)
    distance = squared_distances(own, offered).sqrt_()
    weights = torch.where(distance > 0, gain / distance, 0.0)
    total = weights.sum(dim=1, keepdim=True)
    return torch.where(total > 0, weights / total, 0.0)


def first_order_mix(weights: Tensor, own: Tensor, offered: Tensor) -> Tensor:
    """New models [K, P]: own[k] + sum over n of weights[k, n] (offered[n] - own[k])."""
    some = weights.to(own)
    return torch.addcmul(own + some @ offered, own, some.sum(dim=1, keepdim=True), value=-1)


def offered_to(affinity: FloatColumn, models: int, explore: float, streams: Streams, counter: int) -> NDArray[np.bool_]:
    """Which models [K, K] each owner gets in round ``counter``: at most ``models`` (the paper's M), never its own.

    Those with the highest ``affinity`` [K, K], the sum of the weights of earlier rounds; with
    probability ``explore`` an owner gets random ones instead. Equal affinities are drawn.
    """
    count = len(affinity)
    if models < 0 or not 0 <= explore <= 1:
        raise ValueError(f"models must be at least 0 and explore in [0, 1], got {models} and {explore}")
    everyone = np.arange(count)
    chance = streams.uniform("fedfomo models", everyone[:, None], counter, everyone)
    explores = streams.uniform("fedfomo exploration", everyone, counter) < explore
    liked = np.where(explores[:, None], 0.0, affinity)
    own = np.eye(count, dtype=np.bool_)
    ranked = np.lexsort((chance, -liked, own), axis=-1)
    offered = np.zeros((count, count), dtype=np.bool_)
    np.put_along_axis(offered, ranked[:, : min(models, count - 1)], True, axis=1)
    return offered
