"""Train the base of ``learning.language.tiny`` and write its weights: ``python -m learning.language.pretrain FILE``.

Takes a few minutes of one core. The same machine writes the same bytes; another one rounds otherwise, which is why the
weights come with the package and are not made anew by everybody.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from learning.data.answers import FILL, filled
from learning.language.offline import read_before
from learning.language.tiny import WEIGHTS, TinyLM

TEXTS, BATCH, STEPS, RATE, WARM_UP = 40_000, 64, 4_000, 3e-3, 200


def text_loss(model: nn.Module, rows: Tensor) -> Tensor:
    """Mean cross-entropy in nats of every next token of texts [B, T]."""
    logits, wanted = model(rows[:, :-1]), rows[:, 1:].long()
    return cross_entropy(logits.mT, wanted, ignore_index=FILL)


def texts(count: int) -> Tensor:
    """So many texts [count, T], as long as the longest, filled up on the left."""
    ids = read_before(count)
    width = max(map(len, ids))
    return torch.from_numpy(np.array([filled(text, [], width, 0) for text in ids], dtype=np.float32))


def trained(rows: Tensor, steps: int = STEPS, *, report: bool = False) -> TinyLM:
    """A model trained on texts [n, T] by Adam with a warm-up and a cosine fall of the rate."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = TinyLM()
        nn.init.normal_(model.embedding.weight, std=model.embedding.embedding_dim**-0.5)
        order = torch.randint(len(rows), (steps, BATCH))
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)
    for step in range(steps):
        warm, cool = min(1.0, (step + 1) / WARM_UP), 0.5 * (1 + np.cos(np.pi * step / steps))
        optimizer.param_groups[0]["lr"] = RATE * warm * cool
        loss = text_loss(model, rows[order[step]])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if report and step % 500 == 0:
            print(f"step {step}: {loss.item():.3f} nats per token", flush=True)
    return model


def save(model: TinyLM, path: Path) -> None:
    """Write the weights in half precision."""
    arrays = {name: value.detach().numpy().astype(np.float16) for name, value in model.state_dict().items()}
    np.savez_compressed(path, **arrays)


if __name__ == "__main__":
    torch.set_num_threads(1)
    save(trained(texts(TEXTS), report=True), Path(sys.argv[1]) if len(sys.argv) > 1 else WEIGHTS)
