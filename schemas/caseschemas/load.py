"""How a case schema is found: by the id of a shipped one, or by the path of a file."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from os import PathLike
from pathlib import Path

from caseschemas.check import parse_schema, read_schema_file
from caseschemas.errors import UnknownSchemaError
from caseschemas.schema import CaseSchema


def shipped_schema_ids() -> tuple[str, ...]:
    """The ids of the schemas that come with the package, sorted.

    >>> shipped_schema_ids()
    ('ctdc-global', 'ctdc-victim-perpetrator', 'htcds-2.0')
    """
    folder = files("caseschemas") / "shipped"
    return tuple(sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")))


def load_schema(source: str | PathLike[str]) -> CaseSchema:
    """Load a case schema.

    Args:
        source: The id of a shipped schema, or the path of a JSON file.

    Raises:
        UnknownSchemaError: there is no such schema and no such file, or the file cannot be read.
        SchemaFaultsError: the file has faults; the error lists every one with its place.
    """
    if isinstance(source, str) and source in shipped_schema_ids():
        return _shipped(source)
    path = Path(source)
    if not path.exists():
        shipped = ", ".join(shipped_schema_ids())
        raise UnknownSchemaError(f"no shipped schema and no file {str(source)!r}; shipped schemas: {shipped}")
    return parse_schema(read_schema_file(path), name=path.name)


def shipped_schema(schema_id: str) -> CaseSchema:
    """Load a shipped schema by its id, and nothing else: what is no such id is never taken for the path of a file.

    Args:
        schema_id: What was asked for; it may come from anybody.

    Raises:
        UnknownSchemaError: no shipped schema has this id.

    >>> shipped_schema("ctdc-global").id
    'ctdc-global'
    """
    if schema_id not in shipped_schema_ids():
        raise UnknownSchemaError(f"no shipped schema has this id; shipped schemas: {', '.join(shipped_schema_ids())}")
    return _shipped(schema_id)


@lru_cache
def _shipped(schema_id: str) -> CaseSchema:
    return parse_schema((files("caseschemas") / "shipped" / f"{schema_id}.json").read_bytes(), name=schema_id)
