"""A causal language model and a tokenizer in a folder, as `transformers` keeps them: tiny, with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

WORDS = [
    *("<unk>", "<s>", "</s>", "good", "bad", "flat", "shares", "rise", "fall", "rest", "sharply", "today", "is"),
    *("the", "mood", "of", "news", "?", "do", "write", "copy", "a", "b", "c"),
]
VERBS = {"rise": "good", "fall": "bad", "rest": "flat"}
TEMPLATE = "{instruction} {input} is"


def save_llama(folder: Path) -> Path:
    """A Llama of two layers and width 32 with a word tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        # Large enough that the frozen random layers tell tokens apart, as those of a trained model do.
        initializer_range=0.3,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def headlines(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Samples of a classification with three label words."""
    chance = np.random.default_rng(seed)
    rows = []
    for _ in range(count):
        verb = str(chance.choice(list(VERBS)))
        given = f"shares {verb}{' sharply' * int(chance.integers(2))}{' today' * int(chance.integers(2))}"
        rows.append({"instruction": "the mood of news ?", "input": given, "output": VERBS[verb]})
    return rows


def copies(count: int, seed: int = 0) -> list[dict[str, str]]:
    """Samples of free text: three letters to be copied."""
    chance = np.random.default_rng(seed)
    letters = [" ".join(chance.choice(list("abc"), 3)) for _ in range(count)]
    return [{"instruction": "copy", "input": text, "output": text} for text in letters]


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    """The rows in a file of the kind that its name says."""
    import pandas as pd

    table = pd.DataFrame(rows)
    match path.suffix:
        case ".jsonl":
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        case ".json":
            path.write_text(json.dumps(rows))
        case ".csv":
            table.to_csv(path, index=False)
        case ".parquet":
            table.to_parquet(path)
    return path
