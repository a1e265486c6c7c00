import sys

import numpy as np
import pytest
from tiny_causal import TEMPLATE, WORDS, copies, headlines, save_llama, write

from learning.data import BadData, load_dataset
from learning.data.answers import FILL
from learning.language.instructions import read_instructions


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_llama(tmp_path_factory.mktemp("llama"))


def loaded(tokenizer, *files, **parameters):
    parameters = {"template": TEMPLATE, **parameters}
    return load_dataset("instructions", files=[str(file) for file in files], tokenizer=str(tokenizer), **parameters)


def text(row):
    return " ".join(WORDS[int(token)] for token in row if token != FILL)


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".csv", ".parquet"])
def test_files_of_all_kinds_hold_the_same_samples(tmp_path, ending):
    rows = headlines(20)
    rows[3]["input"] = ""
    found = read_instructions(write(tmp_path / f"finance{ending}", rows))
    assert found == [(row["instruction"], row["input"], row["output"]) for row in rows]


def test_a_file_of_few_outputs_is_a_classification_by_its_label_words(folder, tmp_path):
    data = loaded(
        folder, write(tmp_path / "fiqa.jsonl", headlines(100)), write(tmp_path / "tfns.csv", headlines(50, 1))
    )
    assert data.answers.names == ("fiqa: bad", "fiqa: flat", "fiqa: good", "tfns: bad", "tfns: flat", "tfns: good")
    assert data.classes == 6
    assert data.vocabulary == len(WORDS)
    assert (data.answers.domains[data.y_train] == data.groups).all(), "the groups are the files"
    assert len(data.y_test) == pytest.approx(30, abs=4), "every fifth sample is for testing"
    for row, label in zip(data.x_train, data.y_train, strict=True):
        prompt, answer = text(row[: -data.answers.length]), text(row[-data.answers.length :])
        assert answer == f"{data.answers.names[label].split()[1]} </s>"
        assert prompt.startswith("the mood of news ? shares ")
        assert prompt.endswith(" is")


def test_a_file_of_many_outputs_is_free_text_and_one_class(folder, tmp_path):
    files = write(tmp_path / "code.jsonl", copies(60)), write(tmp_path / "news.jsonl", headlines(60))
    data = loaded(folder, *files)
    assert data.answers.names[0] == "code"
    assert data.answers.words[0] == ()
    row = data.x_train[data.groups == 0][0]
    assert text(row).split(" is ")[1].removesuffix(" </s>") == text(row).split(" is ")[0].removeprefix("copy ")
    closed = loaded(folder, files[0], files[1], most_label_words=27)
    assert len(closed.answers.names) == 3 + len({row["output"] for row in copies(60)})


def test_so_many_samples_of_each_file_are_for_training(folder, tmp_path):
    files = [write(tmp_path / f"{name}.jsonl", headlines(100, number)) for number, name in enumerate("ab")]
    data = loaded(folder, *files, samples=[40, 7])
    assert np.bincount(data.groups).tolist() == [40, 7]
    assert set(data.answers.domains[data.y_train[:20]]) == {0, 1}, "the first samples are of all files"


def test_long_prompts_lose_the_end_of_their_input_and_long_answers_their_own(folder, tmp_path):
    rows = [{"instruction": "copy", "input": "a b c " * number, "output": "a b c"} for number in range(1, 11)]
    rows += [{**row, "output": "c b a c b a"} for row in rows]
    data = loaded(folder, write(tmp_path / "long.jsonl", rows), prompt_length=9, answer_length=8)
    assert data.shape == (9 + 7,)
    assert {text(row[:9]) for row in data.x_train} <= {"copy a b c is", "copy a b c a b c is", "copy a b c a b c a is"}
    short = loaded(folder, write(tmp_path / "free.jsonl", copies(40)), write(tmp_path / "l.jsonl", rows),
                   answer_length=4, most_label_words=0)  # fmt: skip
    assert {text(row[-4:]) for row in short.x_train[short.groups == 1]} == {"a b c </s>", "c b a </s>"}


def test_braces_in_a_text_are_no_places_of_the_template(folder, tmp_path):
    rows = [{**row, "instruction": "{input} the"} for row in headlines(20)]
    data = loaded(folder, write(tmp_path / "braces.jsonl", rows))
    assert text(data.x_train[0]).startswith("<unk> the shares ")


def test_alpacas_template_stands_around_the_texts_unless_another_is_given(folder, tmp_path):
    data = loaded(folder, write(tmp_path / "plain.jsonl", headlines(20)), template=None)
    assert "a <unk> <unk> <unk> shares" not in text(data.x_train[0])
    assert data.shape[0] > 30


def test_a_file_of_the_hub_is_read_from_its_cache(folder, tmp_path, monkeypatch):
    from huggingface_hub import constants

    cached = tmp_path / "datasets--owner--finance"
    (cached / "snapshots/abc/data").mkdir(parents=True)
    (cached / "refs").mkdir()
    (cached / "refs/main").write_text("abc")
    write(cached / "snapshots/abc/data/fiqa.parquet", headlines(30))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    data = loaded(folder, "hub:owner/finance:data/fiqa.parquet")
    assert data.answers.names[0] == "fiqa: bad"
    with pytest.raises(
        BadData, match=r"^hub:owner/finance:none.csv: neither in the cache of the hub nor to be fetched"
    ):
        loaded(folder, "hub:owner/finance:none.csv")


def test_the_folder_of_data_is_searched_too(folder, tmp_path, monkeypatch):
    write(tmp_path / "kept.jsonl", headlines(30))
    monkeypatch.setenv("DATAGORA_DATA", str(tmp_path))
    assert loaded(folder, "kept.jsonl").classes == 3


BAD_FILES = {
    "none": ("none.jsonl", None, r"there is no such file"),
    "ending": ("text.txt", "words", r"its name ends in none of .jsonl, .json, .csv, .parquet"),
    "no json": ("broken.jsonl", '{"instruction": ', r"not a readable .jsonl file"),
    "no table": ("broken.parquet", "words", r"not a readable .parquet file"),
    "no column": ("other.csv", "instruction,text\na,b\n", r"no column input, output, there are: instruction, text$"),
    "no samples": ("empty.csv", "instruction,input,output\n", r"there are no samples"),
    "no answer": ("half.csv", "instruction,input,output\na,b,c\na,b,\n", r"1 of 2 samples have no output"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(tmp_path, case):
    name, content, problem = BAD_FILES[case]
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(BadData, match=problem) as caught:
        read_instructions(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert caught.value.source.endswith(name)


BAD_PARAMETERS = {
    "no files": ({"files": []}, "files is empty"),
    "samples": ({"samples": [1, 2]}, "samples must be 1 numbers"),
    "columns": ({"columns": ["text"]}, "columns must name instruction, input, output, got 1 names"),
    "template": ({"template": "words"}, "neither {instruction} nor {input}"),
    "length": ({"answer_length": 1}, "must be at least 2"),
    "hub": ({"files": ["hub:owner/name"]}, "is written hub:owner/name:path"),
    "no tokenizer": ({"tokenizer": "no/such/folder"}, "no tokenizer can be loaded from there"),
    "free text alone": ({"most_label_words": 0}, "all answers are free text of one file"),
}


@pytest.mark.parametrize("case", BAD_PARAMETERS)
def test_parameters_that_cannot_be_met_are_refused_in_one_line(folder, tmp_path, case):
    changed, problem = BAD_PARAMETERS[case]
    file = write(tmp_path / "news.jsonl", headlines(20))
    with pytest.raises(BadData, match=problem) as caught:
        load_dataset("instructions", **{"files": [str(file)], "tokenizer": str(folder), **changed})
    assert "\n" not in str(caught.value)


def test_without_the_extra_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    file = write(tmp_path / "news.jsonl", headlines(20))
    with pytest.raises(BadData, match=r"^instructions: needs the package transformers, install it with: pip install "):
        loaded(tmp_path, file)
