"""Recurrent networks over token ids."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn

from learning.models.families import MODELS, sequence_length

CHARACTERS = 128
"""Rows of the embedding tables: the ASCII codes, or any other numbering with ids below."""


class CharLSTM(nn.Module):
    """Token ids [B, length] (of any number type) to logits [B, classes] by the state after the last token."""

    vocabulary = CHARACTERS

    def __init__(self, classes: int, embedding: int = 8, hidden: int = 128, layers: int = 1) -> None:
        super().__init__()
        self.embedding = nn.Embedding(self.vocabulary, embedding)
        self.lstm = nn.LSTM(embedding, hidden, num_layers=layers, batch_first=True)
        self.output = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        # cuDNN would copy weights that are views of a flat vector at every call, and its bits need not repeat.
        plain = torch.backends.cudnn.flags(enabled=False) if x.is_cuda else nullcontext()
        with plain:
            states, _ = self.lstm(self.embedding(x.long()))
        logits: Tensor = self.output(states[:, -1])
        return logits


@MODELS.register("char_lstm")
def char_lstm(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Character LSTM: embedding of 8, one layer of 128, a linear output; for the next character or for a class.

    After the Shakespeare model of McMahan et al. 2017, which has two layers of 256. Reads token ids below 128.
    Raises ``ValueError`` unless the samples are rows of token ids.
    """
    sequence_length("char_lstm", shape)
    return CharLSTM(classes)


@MODELS.register("char_lstm_2x256")
def char_lstm_2x256(shape: tuple[int, ...], classes: int) -> nn.Module:
    """Character LSTM of McMahan et al. 2017: embedding of 8, two layers of 256, a linear output.

    The model for Shakespeare in LEAF and in the experiments of iPFL. Reads token ids below 128. Raises ``ValueError``
    unless the samples are rows of token ids.
    """
    sequence_length("char_lstm_2x256", shape)
    return CharLSTM(classes, hidden=256, layers=2)
