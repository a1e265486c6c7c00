"""Parquet files of a few kilobytes that would become gigabytes: refused in one line, before memory is taken."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import learning.parquet_pages
from learning.limits import TooLarge
from learning.parquet_files import check_table, read_table
from learning.parquet_pages import pages_of

LONG = 2**21
"""Letters of a text that takes less than a kilobyte of a file."""


@pytest.fixture
def little_memory(monkeypatch):
    """A machine with room for eight of the long texts, once as columns and once as a data frame."""
    monkeypatch.setattr("learning.parquet_files.memory_at_hand", lambda: 16 * LONG)


def varint(number: int, size: int) -> bytes:
    """A whole number of Thrift's compact protocol in so many bytes, more than it needs."""
    coded, digits = 2 * number, []
    for _ in range(size):
        digits.append(coded & 127 | 128)
        coded >>= 7
    digits[-1] &= 127
    return bytes(digits)


def long_texts(path: Path, columns: int) -> Path:
    texts = pa.table({f"c{number}": ["x" * LONG] for number in range(columns)})
    pq.write_table(texts, path, compression="zstd", use_dictionary=False, write_statistics=False)
    assert path.stat().st_size < 2**10 * columns
    return path


def taken_by(path: Path) -> int:
    """Bytes that Arrow takes at most to refuse a file."""
    pool = pa.proxy_memory_pool(pa.default_memory_pool())
    before = pa.default_memory_pool()
    pa.set_memory_pool(pool)
    try:
        with pytest.raises(TooLarge, match=r"^it says that it has 1 rows and [\d,]+ bytes, for which memory does not"):
            read_table(path)
    finally:
        pa.set_memory_pool(before)
    return pool.max_memory() or 0


def test_compressed_text_is_refused_before_it_is_unpacked(tmp_path, little_memory):
    assert read_table(long_texts(tmp_path / "some.parquet", 7)).num_columns == 7
    assert taken_by(long_texts(tmp_path / "many.parquet", 9)) < LONG


def test_a_file_whose_end_lies_about_its_pages_is_refused(tmp_path, little_memory):
    """Its footer says of every column that it unpacks to a hundred bytes; Arrow itself would believe the pages."""
    path = long_texts(tmp_path / "lie.parquet", 9)
    raw = path.read_bytes()
    footer = len(raw) - 8 - struct.unpack("<I", raw[-8:-4])[0]
    with pq.ParquetFile(path) as file:
        said = file.metadata.row_group(0).column(0).total_uncompressed_size
    path.write_bytes(raw[:footer] + raw[footer:].replace(varint(said, 4), varint(100, 4)))
    with pq.ParquetFile(path) as file:
        assert [file.metadata.row_group(0).column(number).total_uncompressed_size for number in range(9)] == [100] * 9
    assert pq.read_table(path, columns=["c0"]).nbytes > LONG
    assert taken_by(path) < LONG


def test_a_number_said_a_million_times_is_counted_by_rows(tmp_path, monkeypatch):
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": np.ones(10**6), "b": np.ones(10**6, dtype=np.int8)}), path)
    assert path.stat().st_size < 2**14
    for room, columns, refused in (
        (17 * 10**6, None, True),
        (20 * 10**6, None, False),
        (15 * 10**6, ["a"], True),
        (15 * 10**6, ["b"], False),
    ):
        monkeypatch.setattr("learning.parquet_files.memory_at_hand", lambda room=room: room)
        if refused:
            with pytest.raises(TooLarge, match="it says that it has 1,000,000 rows"):
                check_table(path, columns)
        else:
            check_table(path, columns)


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_text_by_differences_is_refused(version, tmp_path):
    """Each text is the one before and a letter more: bytes for a row, and memory with the square of the rows."""
    path = tmp_path / "growing.parquet"
    growing = pa.table({"text": ["x" * length for length in range(3000)]})
    options = {"use_dictionary": False, "column_encoding": {"text": "DELTA_BYTE_ARRAY"}}
    pq.write_table(growing, path, data_page_version=version, **options)
    assert path.stat().st_size < 2**13 < 2**22 < growing.nbytes
    with pytest.raises(pa.ArrowInvalid, match="encoded by differences"):
        read_table(path)


@pytest.mark.parametrize(
    "column",
    [pa.array([[1]]), pa.array([{"a": 1}]), pa.array([b"abcd"], pa.binary(4)), pa.array(["a"], pa.string_view())],
    ids=["list", "mapping", "fixed width", "view"],
)
def test_columns_of_other_kinds_are_refused_where_they_are_asked_for(column, tmp_path):
    path = tmp_path / "strange.parquet"
    pq.write_table(pa.table({"strange": column, "plain": [1.5]}), path)
    with pytest.raises(pa.ArrowInvalid, match=r"^column strange is of type [^\n]*, which is not read$"):
        read_table(path)
    assert read_table(path, ["plain", "none"]).to_pydict() == {"plain": [1.5]}


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("compression", ["none", "snappy", "zstd"])
def test_pages_come_to_what_an_honest_footer_says(version, compression, tmp_path):
    rows = 30_000
    table = pa.table(
        {"number": np.arange(rows), "word": [f"{row % 900}" * 20 for row in range(rows)], "yes": [True] * rows}
    )
    options = {"data_page_version": version, "compression": compression, "row_group_size": 20_000}
    pq.write_table(table, tmp_path / "t.parquet", data_page_size=2**12, **options)
    with pq.ParquetFile(tmp_path / "t.parquet") as file, (tmp_path / "t.parquet").open("rb") as raw:
        found = pages_of(file.metadata, raw, table.column_names, 2**40)
        groups = [file.metadata.row_group(0), file.metadata.row_group(1)]
        said = sum(group.column(number).total_uncompressed_size for group in groups for number in range(3))
        words = sum(group.column(1).total_uncompressed_size for group in groups)
        some = pages_of(file.metadata, raw, ["word"], 2**40)
    assert found.rows == {"number": rows, "word": rows, "yes": rows}
    assert 0.9 * said < found.unpacked <= said  # the footer counts the headers of pages as well
    assert 0.9 * words < some.unpacked <= words
    assert read_table(tmp_path / "t.parquet").equals(table)


def test_two_columns_of_one_name_are_refused(tmp_path):
    pq.write_table(pa.Table.from_arrays([pa.array([1]), pa.array(["a"])], names=["a", "a"]), tmp_path / "t.parquet")
    with pytest.raises(pa.ArrowInvalid, match="two columns of one name"):
        read_table(tmp_path / "t.parquet")


def test_damaged_pages_are_refused_in_one_line(tmp_path):
    pq.write_table(pa.table({"a": np.arange(1000)}), tmp_path / "t.parquet", compression="none")
    raw = (tmp_path / "t.parquet").read_bytes()
    for damage in (b"\x00" * 16, b"\xff" * 16, b"\x1c" * 16, b"\x19" * 16):
        with pytest.raises(pa.ArrowInvalid, match=r"^its pages are damaged$"):
            check_table(io.BytesIO(raw[:4] + damage + raw[20:]))


def test_a_file_of_too_many_pages_is_refused(tmp_path, monkeypatch):
    pq.write_table(pa.table({"a": np.arange(1000)}), tmp_path / "t.parquet", row_group_size=100)
    monkeypatch.setattr(learning.parquet_pages, "MOST_PAGES", 20)
    check_table(tmp_path / "t.parquet")
    monkeypatch.setattr(learning.parquet_pages, "MOST_PAGES", 19)
    with pytest.raises(pa.ArrowInvalid, match="it has more than 19 pages"):
        check_table(tmp_path / "t.parquet")


def test_pages_with_long_headers_count_for_several(tmp_path, monkeypatch):
    """A header repeats the least and the largest text, and a file may name the same header many thousand times."""
    texts = pa.table({"text": [letter * 3000 for letter in "abcdefghij"]})
    pq.write_table(texts, tmp_path / "t.parquet", row_group_size=1, use_dictionary=False)
    assert read_table(tmp_path / "t.parquet").equals(texts)
    monkeypatch.setattr(learning.parquet_pages, "MOST_PAGES", 12)
    with pytest.raises(pa.ArrowInvalid, match="it has more than 12 pages"):
        check_table(tmp_path / "t.parquet")


def test_a_table_of_text_comes_back_as_it_was_written(tmp_path):
    words = ["a", "", "b", "a", None]
    whole = pa.table({"words": pa.array(words), "codes": pa.array(words).dictionary_encode(), "numbers": range(5)})
    pq.write_table(whole, tmp_path / "table.parquet")
    assert read_table(tmp_path / "table.parquet").equals(whole)
    assert read_table(tmp_path / "table.parquet", ["words"]).equals(whole.select(["words"]))
