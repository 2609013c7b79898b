"""The files that the showcase is put together from."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any


def asset_text(name: str) -> str:
    """Return one file of the showcase."""
    return files("casesynth.showcase").joinpath("assets", name).read_text(encoding="utf-8")


def asset_json(name: str) -> Any:
    """Return one JSON file of the showcase."""
    return json.loads(asset_text(name))
