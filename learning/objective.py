"""What the outputs of a model are held to: the label of a sample, or its answer in words.

A model of labels gives logits [.., B, C], and its loss is the cross-entropy with the label. A language model gives
logits [.., B, R, V] over the V token ids at each of the R places of the answer (``learning.data.answers``); its loss
on a sample is the mean cross-entropy over the tokens of that sample's answer, end token included. The prompt is not
learnt. So a sample's loss does not depend on the others in its batch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from learning.data.answers import FILL, Answers


def sample_losses(answers: Answers | None, logits: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Loss [.., B] in nats of every sample x [B, *shape] with label y [B]; for logits see the module."""
    if answers is not None:
        asked = x[:, -answers.length :].long()
        there = asked != FILL
        likely = logits.log_softmax(dim=-1)
        index = asked.clamp_min(0).expand(likely.shape[:-1]).unsqueeze(-1)
        nats = -likely.gather(-1, index).squeeze(-1)
        return torch.where(there, nats, 0.0).sum(dim=-1) / there.sum(dim=-1).clamp_min(1)
    if logits.ndim == 2:
        return cross_entropy(logits, y, reduction="none")
    return cross_entropy(logits.mT, y.expand(len(logits), -1), reduction="none")


def sample_hits(answers: Answers | None, logits: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Whether [.., B] each sample is got right.

    An answer in words is right if a greedy decoder says all of it: among the label words of the sample's domain, or
    among all tokens where answers are free text (an exact match).
    """
    if answers is None:
        return logits.argmax(dim=-1) == y
    asked = x[:, -answers.length :].long()
    said = logits.argmax(dim=-1)
    choices = torch.from_numpy(answers.choices).to(logits.device)[y]
    index = choices.clamp_min(0).expand(*logits.shape[:-1], choices.shape[-1])
    among = logits.gather(-1, index).masked_fill(choices == FILL, -torch.inf)
    word = index.gather(-1, among.argmax(dim=-1, keepdim=True)).squeeze(-1)
    said = torch.where((choices == FILL).all(dim=-1), said, word)
    return ((said == asked) | (asked == FILL)).all(dim=-1)


def samples_at_once(answers: Answers, width: int, vocabulary: int) -> int:
    """Samples of ``width`` tokens that a language model reads in one call without training; bounds memory."""
    return max(1, min(TOKENS_AT_ONCE // width, LOGITS_AT_ONCE // (answers.length * vocabulary)))


TOKENS_AT_ONCE = 2**13
LOGITS_AT_ONCE = 2**25
