"""How a case schema is found and read."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib.resources import files
from os import PathLike
from pathlib import Path

from caseschemas._build import build_schema
from caseschemas.errors import UnknownSchemaError
from caseschemas.schema import CaseSchema


def shipped_schema_ids() -> tuple[str, ...]:
    folder = files("caseschemas") / "shipped"
    return tuple(sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")))


def load_schema(source: str | PathLike[str]) -> CaseSchema:
    if isinstance(source, str) and source in shipped_schema_ids():
        return _shipped(source)
    path = Path(source)
    if not path.is_file():
        raise UnknownSchemaError(
            f"no shipped schema and no file {str(source)!r}; shipped: {', '.join(shipped_schema_ids())}"
        )
    return parse_schema(path.read_bytes())


def parse_schema(document: bytes) -> CaseSchema:
    return build_schema(json.loads(document))


@lru_cache
def _shipped(schema_id: str) -> CaseSchema:
    return parse_schema((files("caseschemas") / "shipped" / f"{schema_id}.json").read_bytes())
