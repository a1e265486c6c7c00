"""Data files that would take more memory than they look like, or execute something: refused before they are read."""

from __future__ import annotations

import io
import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

import learning.limits
from agents.arrivals.trace import Trace
from learning.data import BadData
from learning.data.arrays import read_npz
from learning.limits import SMALL

GOOD = {
    "x_train": np.ones((4, 2), dtype=np.float32),
    "y_train": np.arange(4) % 2,
    "x_test": np.ones((2, 2), dtype=np.float32),
    "y_test": np.arange(2),
}


class Executed:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def header(shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return file.getvalue()


def array(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, values, allow_pickle=True)
    return file.getvalue()


def archive(path: Path, x_train: bytes, zeros: int = 0) -> Path:
    """An .npz file whose x_train are these bytes, and so many zeros after them."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for name, values in GOOD.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as member:
                member.write(x_train if name == "x_train" else array(values))
                for _ in range(zeros // 2**20 if name == "x_train" else 0):
                    member.write(bytes(2**20))
    return path


def refusal(path: Path) -> str:
    """The line about a data file, which must not take more than a few MiB to find."""
    tracemalloc.start()
    try:
        with pytest.raises(BadData) as caught:
            read_npz(path)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()
    line = str(caught.value)
    assert "\n" not in line
    assert str(path) in line
    return line


def test_an_archive_that_swells_is_refused_before_it_is_unpacked(tmp_path):
    zeros = SMALL + 2**22
    assert "swells from" in refusal(archive(tmp_path / "bomb.npz", header((zeros // 4,)), zeros))
    assert (tmp_path / "bomb.npz").stat().st_size < 2**22


def test_a_header_that_promises_more_than_there_is_is_refused(tmp_path):
    assert "x_train is not of the size" in refusal(archive(tmp_path / "lie.npz", header((10**12, 4))))
    assert "x_train is not of the size" in refusal(archive(tmp_path / "lie.npz", header((2**62, 2**62))))


def test_objects_in_an_archive_are_never_unpickled(tmp_path):
    trace = tmp_path / "executed"
    assert "holds objects" in refusal(
        archive(tmp_path / "objects.npz", array(np.array([Executed(trace)], dtype=object)))
    )
    (tmp_path / "pickle.npz").write_bytes(pickle.dumps(Executed(trace)))
    assert "not an .npz file" in refusal(tmp_path / "pickle.npz")
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"arrive\n\xff\n", "is no CSV text in UTF-8"),
        (b'arrive\n"' + b"1" * 200_000 + b'"\n', "is no CSV text in UTF-8"),
        (b"arrive\n\0\n", "expected seconds from 0 on"),
    ],
    ids=["no text", "endless field", "null"],
)
def test_a_trace_that_is_no_table_is_refused_in_one_line(content, line, tmp_path):
    (tmp_path / "trace.csv").write_bytes(content)
    with pytest.raises(ValueError, match=line) as caught:
        Trace(file=str(tmp_path / "trace.csv"))
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_trace_beyond_the_limits_is_refused(tmp_path, monkeypatch):
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "long.csv").write_text("arrive\n" + "1\n" * 30)
    # Run-lengths make twelve million rows of some dozen kilobytes.
    pq.write_table(pa.table({"arrive": np.ones(12_000_000, dtype=np.float32)}), tmp_path / "long.parquet")
    assert (tmp_path / "long.parquet").stat().st_size < 2**18
    with pytest.raises(ValueError, match="it has 12,000,000 rows, more than 10,000,000"):
        Trace(file=str(tmp_path / "long.parquet"))
    monkeypatch.setattr("learning.limits.check_rows.__defaults__", (20,))
    with pytest.raises(ValueError, match="it has 21 rows, more than 20"):
        Trace(file=str(tmp_path / "long.csv"))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_trace_may_not_be_larger_than_the_bound(ending, tmp_path, monkeypatch):
    """The same trace is read where the bound is a byte more. Texts are bounded in bytes, Parquet files in rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / f"trace.{ending}"
    if ending == "csv":
        path.write_text("arrive\n" + "1\n" * 30)
        bound, held, line = "check_size", path.stat().st_size, f"it has more than {path.stat().st_size - 1} bytes"
    else:
        pq.write_table(pa.table({"arrive": np.ones(30)}), path)
        bound, held, line = "check_rows", 30, "it has 30 rows, more than 29"
    assert learning.limits.check_size.__defaults__ == (2**30,)
    monkeypatch.setattr(f"learning.limits.{bound}.__defaults__", (held,))
    Trace(file=str(path))
    monkeypatch.setattr(f"learning.limits.{bound}.__defaults__", (held - 1,))
    with pytest.raises(ValueError, match=line):
        Trace(file=str(path))


def test_only_the_columns_of_a_trace_that_are_asked_for_are_read(tmp_path, monkeypatch):
    """Another column of the same file may repeat a long text ten thousand times."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    said = pa.DictionaryArray.from_arrays(pa.array([0] * 10_000, pa.int32()), pa.array(["x" * 10**6]))
    pq.write_table(pa.table({"arrive": np.ones(10_000), "said": said}), tmp_path / "t.parquet", store_schema=False)
    monkeypatch.setattr("learning.parquet_files.memory_at_hand", lambda: 2**20)
    assert len(Trace(file=str(tmp_path / "t.parquet")).visits(9.0, 1.0, None).arrive) == 10_000
    with pytest.raises(ValueError, match=r"column said is of type string, expected numbers\)$"):
        Trace(file=str(tmp_path / "t.parquet"), arrive="said")
