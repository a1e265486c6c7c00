"""Networks by name, and the weights of them that come with the package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from learning.streams import Streams
from market.privacy_auction.networks.game import AuctionNetwork
from market.privacy_auction.networks.mfg_regretnet import EnvelopeNetwork, FreeMarkupNetwork, PaperNetwork
from market.privacy_auction.networks.regretnet import DeterministicNetwork, RegretNetwork
from market.privacy_auction.tensors import BadTensorFile, Tensors, read_tensors

NETWORKS: Mapping[str, Callable[[], AuctionNetwork]] = {
    "mfg_regretnet": EnvelopeNetwork,
    "mfg_regretnet_free_markup": FreeMarkupNetwork,
    "mfg_regretnet_paper": PaperNetwork,
    "regretnet": RegretNetwork,
    "dm_regretnet": DeterministicNetwork,
}

WEIGHTS = Path(__file__).parent.parent / "weights"


def weights_file(name: str) -> Path:
    """Where the shipped weights of a network are."""
    return WEIGHTS / f"{name}.safetensors"


@lru_cache(maxsize=8)
def shipped(name: str) -> AuctionNetwork:
    """The network of that name with its shipped weights, in double precision, ready to clear."""
    return with_weights(name, read_tensors(weights_file(name)))


def with_weights(name: str, tensors: Tensors) -> AuctionNetwork:
    """A network with weights from a file. Raises ``BadTensorFile`` where they do not fit."""
    if tensors.metadata.get("network", name) != name:
        raise BadTensorFile(f"weights of {tensors.metadata['network']}, not of {name}")
    network = new_network(name, seed=0)
    state = {key: torch.from_numpy(values) for key, values in tensors.values.items()}
    try:
        network.load_state_dict(state)
    except RuntimeError:
        raise BadTensorFile(f"weights that do not fit {name}") from None
    return network.double().eval().requires_grad_(False)


def new_network(name: str, seed: int) -> AuctionNetwork:
    """A network before its training: weights and biases uniform up to one over the root of the layer's inputs."""
    with torch.random.fork_rng(devices=[]):  # the constructors' own draws are not used
        network = NETWORKS[name]()
    chance = Streams(seed).generator("auction weights")
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            for parameter in (layer.weight, layer.bias):
                drawn = chance.uniform(-1.0, 1.0, parameter.shape) / np.sqrt(layer.in_features)
                parameter.data.copy_(torch.from_numpy(drawn))
    network.prepare()
    return network


def weights_of(network: AuctionNetwork) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """The weights as they are written to a file."""
    return {name: tensor.detach().cpu().float().numpy() for name, tensor in network.state_dict().items()}
