"""Instruction data sets in files: instruction, input and output, one file per domain, tokenised for a causal model."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from learning.columns import IntColumn
from learning.data.answers import Answers, filled
from learning.data.dataset import DATASETS, BadData, Dataset, each_fifth, interleaved
from learning.language.extra import required
from learning.limits import check_rows, check_size

COLUMNS = ("instruction", "input", "output")
TEMPLATE = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:\n"
)
"""The template of Alpaca (Taori et al. 2023)."""

HUB = "hub:"

Texts = list[tuple[str, str, str]]
"""Instruction, input and output of each sample."""


@dataclass(frozen=True)
class Encoder:
    """From text to token ids: ``prompt`` with the beginning of a text, ``answer`` without; the end token; V."""

    prompt: Callable[[str], list[int]]
    answer: Callable[[str], list[int]]
    end: int
    vocabulary: int


@DATASETS.register("instructions")
def instructions(
    folder: Path,
    *,
    files: list[str],
    tokenizer: str,
    columns: list[str] | None = None,
    template: str | None = None,
    samples: list[int] | None = None,
    prompt_length: int = 256,
    answer_length: int = 64,
    most_label_words: int = 16,
    local_files_only: bool = True,
) -> Dataset:
    """Your own instructions: `files` (.jsonl, .json, .csv, .parquet), a domain each; `tokenizer` is the model's path.

    A file is looked for at its path and then in ``folder``; ``hub:owner/name:path`` is a file of a data set on the
    hub, fetched unless ``local_files_only``. ``columns`` are the names of instruction, input and output. ``template``
    (default: Alpaca's) holds ``{instruction}`` and ``{input}``. Of each file every fifth sample of a class is for
    testing, and at most ``samples`` of the others are for training. Prompts of more than ``prompt_length`` token ids
    lose the end of their input, answers of more than ``answer_length``, end token included, their own. A file with at
    most ``most_label_words`` different outputs is a classification: each output is a class, a label word. The answers
    of any other file are free text, one class. Raises ``BadData``.
    """
    names = COLUMNS if columns is None else tuple(columns)
    if len(names) != len(COLUMNS):
        raise BadData("instructions", f"columns must name {', '.join(COLUMNS)}, got {len(names)} names")
    template = TEMPLATE if template is None else template
    if "{instruction}" not in template and "{input}" not in template:
        raise BadData("instructions", "the template has neither {instruction} nor {input}")
    if not files:
        raise BadData("instructions", "files is empty, at least one is needed")
    if samples is not None and (len(samples) != len(files) or min(samples) < 1):
        raise BadData("instructions", f"samples must be {len(files)} numbers of at least 1, one for each of files")
    if min(prompt_length, answer_length) < 2:
        raise BadData("instructions", "prompt_length and answer_length must be at least 2")
    domains: dict[str, Texts] = {}
    for file in files:
        path = _fetched(file, local_files_only) if file.startswith(HUB) else _found(file, folder)
        domains[_short(file, domains)] = read_instructions(path, names)
    encoder = load_encoder(tokenizer, local_files_only)
    return dataset_of(
        "instructions",
        domains,
        encoder,
        template,
        width=prompt_length,
        length=answer_length,
        most_label_words=most_label_words,
        samples=samples,
    )


def read_instructions(path: Path, columns: Sequence[str] = COLUMNS) -> Texts:
    """The samples of a file; what is missing in a cell is empty text. Raises ``BadData``."""
    import pandas as pd

    readers: dict[str, Callable[[Path], Any]] = {
        ".jsonl": lambda file: pd.DataFrame(_lines(file)),
        ".json": lambda file: pd.DataFrame(json.loads(file.read_text(encoding="utf-8"))),
        ".csv": lambda file: pd.read_csv(file, dtype=str, keep_default_na=False),
        ".parquet": lambda file: _parquet(file, columns),
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise BadData(str(path), f"its name ends in none of {', '.join(readers)}")
    try:
        check_size(path)
        table = reader(path)
    except FileNotFoundError:
        raise BadData(str(path), "there is no such file") from None
    except Exception as error:  # each reader has errors of its own
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise BadData(str(path), f"not a readable {path.suffix} file ({reason})") from error
    missing = [name for name in columns if name not in table.columns]
    if missing:
        there = ", ".join(map(str, table.columns)) or "none"
        raise BadData(str(path), f"there is no column {', '.join(missing)}, there are: {there}")
    if len(table) == 0:
        raise BadData(str(path), "there are no samples")
    cells = [["" if cell is None or cell != cell else str(cell).strip() for cell in table[name]] for name in columns]
    empty = sum(not output for output in cells[2])
    if empty:
        raise BadData(str(path), f"{empty} of {len(table)} samples have no {columns[2]}")
    return list(zip(*cells, strict=True))


def dataset_of(
    name: str,
    domains: dict[str, Texts],
    encoder: Encoder,
    template: str,
    *,
    width: int,
    length: int,
    most_label_words: int,
    samples: Sequence[int] | None = None,
) -> Dataset:
    """The data set of several domains; groups are the domains, classes their label words. Raises ``BadData``.

    Prompts and answers are no wider than the longest of them. For the parameters see ``instructions``.
    """
    words: list[tuple[int, ...]] = []
    domain_of: list[int] = []
    names: list[str] = []
    labels, groups, prompts, answers, testing = [], [], [], [], []
    for number, (domain, texts) in enumerate(domains.items()):
        outputs = sorted({output for _, _, output in texts})
        closed = 2 <= len(outputs) <= most_label_words and len(outputs) < len(texts)
        said = {output: (*encoder.answer(output), encoder.end) for output in outputs} if closed else {}
        too_long = [word for word, ids in said.items() if len(ids) > length]
        if too_long:
            raise BadData(name, f"the label word '{too_long[0]}' of {domain} has more than {length} token ids")
        if len(set(said.values())) < len(said):
            raise BadData(name, f"two label words of {domain} have the same token ids")
        own = np.array([len(names) + (outputs.index(output) if closed else 0) for _, _, output in texts])
        order = interleaved(own)
        tested = each_fifth(own[order])
        for place in order:
            instruction, given, output = texts[place]
            prompts.append(_prompt(encoder, template, instruction, given, width))
            answers.append([*encoder.answer(output)[: length - 1], encoder.end])
        most = None if samples is None else samples[number]
        testing.append(np.where(tested, 1, np.where(_first(~tested, most), 0, -1)))
        labels.append(own[order])
        groups.append(np.full(len(texts), number))
        words += list(said.values()) if closed else [()]
        names += [f"{domain}: {word}" for word in outputs] if closed else [domain]
        domain_of += [number] * (len(outputs) if closed else 1)
    y, group, half = (np.concatenate(parts).astype(np.int64) for parts in (labels, groups, testing))
    if len(names) < 2:
        raise BadData(name, "all answers are free text of one file: at least two classes are needed")
    if not (half == 0).any() or not (half == 1).any():
        raise BadData(name, "there are too few samples to train and to test")
    width = max(len(prompt) for prompt in prompts)
    length = max(len(answer) for answer in answers)
    rows = [filled(prompt, answer, width, length) for prompt, answer in zip(prompts, answers, strict=True)]
    x = np.array(rows, dtype=np.float32)
    train, test = _mixed(y, group, half == 0), _mixed(y, group, half == 1)
    told = Answers(length, tuple(words), np.array(domain_of, dtype=np.int64), tuple(names))
    return Dataset(
        name, x[train], y[train], x[test], y[test], len(names), group[train], encoder.vocabulary, answers=told
    )


def load_encoder(path: str, local_files_only: bool = True) -> Encoder:
    """The tokenizer in a folder or of a name on the hub. Raises ``BadData``."""
    transformers = required("transformers", "instructions")
    source = Path(path).expanduser()
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            str(source) if source.is_dir() else path, local_files_only=local_files_only, trust_remote_code=False
        )
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise BadData(path, f"no tokenizer can be loaded from there ({reason})") from error
    end = tokenizer.eos_token_id
    if end is None:
        raise BadData(path, "the tokenizer has no end-of-text token, by which an answer ends")

    def prompt(text: str) -> list[int]:
        ids: list[int] = list(tokenizer(text)["input_ids"])
        return ids[:-1] if ids and ids[-1] == end else ids

    def answer(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    return Encoder(prompt, answer, int(end), len(tokenizer))


def _prompt(encoder: Encoder, template: str, instruction: str, given: str, width: int) -> list[int]:
    """The ids of a prompt; one that is too long loses words from the end of its input until it fits."""

    def ids(text: str) -> list[int]:
        # One after the other would replace a "{input}" that stands in the instruction itself.
        parts = template.split("{instruction}")
        return encoder.prompt(instruction.join(part.replace("{input}", text) for part in parts))

    whole = ids(given)
    if len(whole) <= width:
        return whole
    pieces = given.split()
    fits, fails = 0, len(pieces)
    while fails - fits > 1:
        middle = (fits + fails) // 2
        fits, fails = (middle, fails) if len(ids(" ".join(pieces[:middle]))) <= width else (fits, middle)
    return ids(" ".join(pieces[:fits]))[-width:]


def _first(chosen: np.ndarray[Any, Any], most: int | None) -> np.ndarray[Any, Any]:
    """The first ``most`` of those that are chosen."""
    return chosen if most is None else chosen & (np.cumsum(chosen) <= most)


def _mixed(labels: IntColumn, groups: IntColumn, chosen: np.ndarray[Any, Any]) -> IntColumn:
    """The chosen samples in an order in which every beginning has the domains and label words of the whole."""
    rows = np.flatnonzero(chosen)
    return rows[interleaved(labels[rows])]


def _lines(path: Path) -> list[Any]:
    texts = path.read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in texts if line.strip()]


def _parquet(path: Path, columns: Sequence[str]) -> Any:
    """The ``columns`` of a file that it has, or an empty frame of all columns where some are missing."""
    import pyarrow.parquet

    from learning.parquet_files import read_table

    with pyarrow.parquet.ParquetFile(path) as file:
        check_rows(file.metadata.num_rows)
        schema = file.schema_arrow
    if not set(columns) <= set(schema.names):
        return schema.empty_table().to_pandas()
    return read_table(path, columns).to_pandas()


def _found(file: str, folder: Path) -> Path:
    """The path, or that in the data folder if there is nothing at the path."""
    path = Path(file).expanduser()
    return path if path.exists() or path.is_absolute() or not (folder / path).exists() else folder / path


def _fetched(address: str, local_files_only: bool) -> Path:
    """The local copy of ``hub:owner/name:path``. Raises ``BadData``."""
    repository, _, path = address.removeprefix(HUB).partition(":")
    if not path:
        raise BadData(address, "a file on the hub is written hub:owner/name:path")
    hub = required("huggingface_hub", address)
    try:
        return Path(hub.hf_hub_download(repository, path, repo_type="dataset", local_files_only=local_files_only))
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise BadData(address, f"neither in the cache of the hub nor to be fetched ({reason})") from error


def _short(file: str, taken: dict[str, Texts]) -> str:
    """What a domain is called: the file's name without its ending, with a number if there is such a one already."""
    stem = Path(file.rpartition(":")[2]).stem
    return stem if stem not in taken else f"{stem} {len(taken) + 1}"
