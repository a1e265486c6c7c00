"""A virtual environment of its own for every peer, made once under the benchmark's cache folder.

Peers disagree about NumPy and torchvision among themselves, and none is a dependency of this project. Every
environment gets this project's version of torch, so that nobody is faster by a newer kernel.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

PEERS: dict[str, tuple[str, ...]] = {
    "pfl": ("pfl[pytorch]==0.6.0",),
    "flower": ("flwr[simulation]>=1.41,<1.43", "psutil"),
    "fluke": ("fluke-fl==0.8.1", "torchvision"),
    "pydvl": ("pydvl==0.10.0",),
}
INSTALL_SECONDS = 1_800


class Absent(Exception):
    """A side that cannot take part; ``str()`` is one line that says why and names no address or path."""

    def __init__(self, reason: str) -> None:
        line = " ".join(reason.split())
        line = re.sub(r"\w+://\S+", "<address>", line)
        super().__init__(re.sub(r"(?<![\w<])/\S*/", "", line)[:200])


def cache_folder() -> Path:
    """``$DATAGORA_BENCH``, else ``~/.cache/datagora/bench``."""
    named = os.environ.get("DATAGORA_BENCH")
    return Path(named) if named else Path.home() / ".cache" / "datagora" / "bench"


def requirements(peer: str) -> list[str]:
    """What is installed for a peer: its own packages and this environment's torch (and the torchvision it needs)."""
    public = {name: version(name).split("+")[0] for name in ("torch", "torchvision")}
    wanted = [f"{name}=={public[name]}" if name in public else name for name in PEERS[peer]]
    return [*wanted, f"torch=={public['torch']}"]


def interpreter(peer: str) -> Path:
    """The Python of a peer's environment, made first if it is missing or was made for other versions.

    Raises ``Absent`` if it cannot be made.
    """
    folder = cache_folder() / peer
    python, stamp = folder / "bin" / "python", folder / "installed.json"
    wanted = [sys.version.split()[0], *requirements(peer)]
    if not (stamp.exists() and json.loads(stamp.read_text()) == wanted):
        print(f"making an environment for {peer} ...", file=sys.stderr, flush=True)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Absent(f"its environment has no place ({error.strerror})") from error
        for command in _commands(folder, python, requirements(peer)):
            _run(command)
        stamp.write_text(json.dumps(wanted))
    return python


def _commands(folder: Path, python: Path, packages: list[str]) -> list[list[str]]:
    uv = shutil.which("uv")
    if uv:
        create = [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)]
        return [create, [uv, "pip", "install", "--quiet", "--python", str(python), *packages]]
    create = [sys.executable, "-m", "venv", "--clear", str(folder)]
    return [create, [str(python), "-m", "pip", "install", "--quiet", *packages]]


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Absent(f"could not be installed ({type(error).__name__})") from error
    if done.returncode != 0:
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        raise Absent(f"could not be installed: {said[-1] if said else 'no message'}")
