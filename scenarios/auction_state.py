"""The state of a neural auction's training in a file: tensors and plain values, nothing that could be executed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from learning.limits import check_size
from scenarios.writing import write_whole

_NETWORK, _OPTIMIZER = "network.", "optimizer."
_MOST_BYTES = 2**28


def write_state(place: Path, about: dict[str, str], state: dict[str, Any]) -> None:
    """Write a training's ``state`` and a few words ``about`` it as safetensors, in one move."""
    from safetensors.torch import save

    tensors = {_NETWORK + name: tensor for name, tensor in state["network"].items()}
    for number, moments in state["optimizer"]["state"].items():
        tensors |= {f"{_OPTIMIZER}{number}.{name}": tensor for name, tensor in moments.items()}
    plain = {name: value for name, value in state.items() if name not in ("network", "optimizer")}
    copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    write_whole(place, save(copies, metadata={**about, "plain": json.dumps(plain)}))


def read_state(place: Path, groups: list[dict[str, Any]]) -> tuple[dict[str, str], dict[str, Any]]:
    """What ``write_state`` wrote; ``groups`` are the optimizer's parameter groups, which are not in the file.

    Raises ``ValueError`` for a file that is none, and ``OSError`` where it cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    check_size(place, _MOST_BYTES)
    network: dict[str, Any] = {}
    moments: dict[int, dict[str, Any]] = {}
    try:
        with safe_open(place, framework="pt") as file:
            about = dict(file.metadata() or {})
            plain = json.loads(about.pop("plain"))
            for name in file.keys():  # noqa: SIM118  it is no mapping
                if name.startswith(_NETWORK):
                    network[name.removeprefix(_NETWORK)] = file.get_tensor(name)
                else:
                    number, _, moment = name.removeprefix(_OPTIMIZER).partition(".")
                    moments.setdefault(int(number), {})[moment] = file.get_tensor(name)
    except (SafetensorError, KeyError, RecursionError) as problem:
        raise ValueError(f"not the state of a training ({type(problem).__name__})") from None
    return about, {**plain, "network": network, "optimizer": {"state": moments, "param_groups": groups}}
