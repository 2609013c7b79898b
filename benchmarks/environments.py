"""Environments of their own for programs of others: installed from pinned versions, kept below .cache until the list of versions or Python changes."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
import venv
from pathlib import Path


class NotInstalled(Exception):
    """Why there is no such environment here."""


def environment(pinned: Path, cache: Path) -> Path:
    """Return the interpreter of an environment, installing it when it is not there.

    Args:
        pinned: its list of versions, complete: nothing else is installed.
        cache: folder of environments.

    Raises:
        NotInstalled: it cannot be installed here.
    """
    version = platform.python_version()
    folder = cache / f"{pinned.stem}-{version}-{hashlib.sha256(pinned.read_bytes()).hexdigest()[:12]}"
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        cache.mkdir(parents=True, exist_ok=True)
        try:
            venv.create(folder, with_pip=True, clear=True)
        except subprocess.CalledProcessError:
            raise NotInstalled("no environment can be made here: Python's venv or ensurepip is missing") from None
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
        command = [python, "-m", "pip", "install", *options, "--requirement", pinned]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            print(done.stderr, file=sys.stderr)
            listed = f"benchmarks/{pinned.parent.name}/{pinned.name}"
            raise NotInstalled(f"{listed} does not install with Python {version} here")
        (folder / "installed").touch()
    return python
