"""The label word with the highest likelihood: what a language model answers if it must choose one."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from learning.columns import FloatColumn, IntColumn
from learning.data.answers import FILL
from learning.evaluation import block_size, blocks
from learning.models import FlatModel
from learning.objective import sample_losses


def word_likelihoods(model: FlatModel, weights: Tensor, x: Tensor, y: Tensor) -> FloatColumn:
    """Log-likelihood [n, C], in nats, of every label word with its end token after the prompts of x [n, length].

    ``weights`` [P] are one model's. Minus infinity for the words of other domains than that of the sample's label
    y [n], and for free text. A word costs one pass over its domain. Raises ``ValueError`` for other models.
    """
    answers = model.answers
    if answers is None:
        raise ValueError(f"the model '{model.name}' says no words")
    found = np.full((len(y), model.classes), -np.inf)
    domains = answers.domains[y.cpu().numpy()]
    for label, word in enumerate(answers.words):
        rows = np.flatnonzero(domains == answers.domains[label])
        if not word or len(rows) == 0:
            continue
        here = torch.from_numpy(rows).to(x.device)
        asked = x[here].clone()
        asked[:, -answers.length :] = FILL
        asked[:, asked.shape[1] - answers.length :][:, : len(word)] = torch.tensor(word, dtype=x.dtype).to(x.device)
        nats = []
        with torch.no_grad():
            for samples, labels in blocks(asked, y[here], block_size(model)):
                logits = model.logits(weights.unsqueeze(0), samples.to(weights.dtype))[0]
                nats.append(sample_losses(answers, logits.double(), samples, labels) * len(word))
        found[rows, label] = -torch.cat(nats).cpu().numpy()
    return found


def read_off(model: FlatModel, weights: Tensor, x: Tensor, y: Tensor) -> IntColumn:
    """The class [n] of the likeliest label word of each sample's domain, -1 where answers are free text."""
    likelihoods = word_likelihoods(model, weights, x, y)
    return np.where(np.isfinite(likelihoods).any(axis=1), likelihoods.argmax(axis=1), -1)
