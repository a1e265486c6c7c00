"""Files that are complete under their name or not there, also when the process is killed while it writes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scenarios.writing import write_whole

KILLED = """
import os, signal, sys
from pathlib import Path
from scenarios.writing import write_whole

setattr(os, sys.argv[1], lambda *_: os.kill(os.getpid(), signal.SIGKILL))
write_whole(Path(sys.argv[2]), b"new" * 1000)
"""


@pytest.mark.parametrize("moment", ["fsync", "replace"])
@pytest.mark.parametrize("old", [b"old", None], ids=["over a file", "a new file"])
def test_a_kill_between_writing_and_renaming_leaves_what_was_there(
    moment: str, old: bytes | None, tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
    if old is not None:
        page.write_bytes(old)
    done = subprocess.run([sys.executable, "-c", KILLED, moment, page], timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    assert (page.read_bytes() if page.exists() else None) == old
    write_whole(page, b"next")
    assert page.read_bytes() == b"next"
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"], "what the kill left is gone with the next write"
