"""A side of the comparison as a process of its own: started, asked, closed."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

from benchmarks.learning.environments import PEERS, Absent, interpreter

ROOT = Path(__file__).parents[2]
SCRIPTS = Path(__file__).parent / "peers"
START_SECONDS, ANSWER_SECONDS = 300.0, 900.0


def command(name: str, work: Path, device: str, backend: str = "auto") -> list[str]:
    """How to start a side. Raises ``Absent`` for a peer whose environment cannot be made."""
    folder = str(work)
    match name:
        case "ours":
            return [sys.executable, "-m", "benchmarks.learning.ours", folder, device, backend]
        case "ours_coalitions":
            return [sys.executable, "-m", "benchmarks.learning.ours_coalitions", folder, device]
        case "loop" | "loop_coalitions":
            return [sys.executable, str(SCRIPTS / f"run_{name}.py"), folder, device]
        case _ if name in PEERS:
            return [str(interpreter(name)), str(SCRIPTS / f"run_{name}.py"), folder]
    raise ValueError(f"unknown side '{name}', known: ours, ours_coalitions, loop, loop_coalitions, {', '.join(PEERS)}")


class Side:
    """A running side. ``ask`` raises ``Absent`` with the reason if it fails, does not answer in time, or ends."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        self._log = log
        environment = dict(os.environ, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(SCRIPTS)])
        environment["DATAGORA_CACHE"] = str(log.parent)  # back-ends are calibrated anew, not remembered
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=ROOT,
                env=environment,
            )
        self._answers: queue.Queue[str] = queue.Queue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        try:
            self._answer(START_SECONDS)
        except Absent:
            self.__exit__(None, None, None)
            raise

    def ask(self, do: str, **keywords: object) -> dict[str, Any]:
        """The answer to one command, with its ``wall`` and ``cpu`` seconds and the process's ``peak_bytes``."""
        assert self._process.stdin is not None
        try:
            print(json.dumps({"do": do, **keywords}), file=self._process.stdin, flush=True)
        except OSError:
            raise Absent(self._last_words()) from None
        return self._answer(ANSWER_SECONDS)

    def __enter__(self) -> Side:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Close the line, which a side takes as the end; a side that does not is ended."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join(10)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as answers:
            for line in answers:
                self._answers.put(line)
        self._answers.put("")

    def _answer(self, seconds: float) -> dict[str, Any]:
        try:
            line = self._answers.get(timeout=seconds)
        except queue.Empty:
            self._process.kill()
            raise Absent(f"no answer within {seconds:.0f} s") from None
        if not line:
            raise Absent(self._last_words())
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Absent(answer["error"])
        return answer

    def _last_words(self) -> str:
        said = [line for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        return f"ended early: {said[-1] if said else 'no message'}"
