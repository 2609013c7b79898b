"""How a mapping is found: by the ids of the two schemas, or by the path of a file."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from os import PathLike
from pathlib import Path

from caseschemas._check_mapping import checked_mapping
from caseschemas._document import MAX_BYTES
from caseschemas.errors import MappingFaultsError, UnknownMappingError
from caseschemas.faults import Fault
from caseschemas.mapping import CaseMapping


def shipped_mapping_ids() -> tuple[str, ...]:
    """The ids of the mappings that come with the package, sorted.

    >>> shipped_mapping_ids()
    ('htcds-2.0_to_ctdc-global',)
    """
    folder = files("caseschemas") / "mappings"
    return tuple(sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")))


def load_mapping(source: str, target: str) -> CaseMapping:
    """Load the shipped mapping from one schema to another.

    Args:
        source: Id of the schema of the records that go in.
        target: Id of the schema of the records that come out.

    Raises:
        UnknownMappingError: no such mapping is shipped.
    """
    wanted = f"{source}_to_{target}"
    if wanted not in shipped_mapping_ids():
        shipped = ", ".join(shipped_mapping_ids())
        raise UnknownMappingError(f"no mapping from {source!r} to {target!r}; shipped mappings: {shipped}")
    return _shipped(wanted)


def load_mapping_file(path: str | PathLike[str]) -> CaseMapping:
    """Load a mapping of your own between shipped schemas.

    Raises:
        UnknownMappingError: there is no such file, or it cannot be read.
        MappingFaultsError: the file has faults; the error lists every one with its place.
    """
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UnknownMappingError(f"cannot read {str(path)!r}: {reason}") from error
    return parse_mapping(raw, name=Path(path).name)


def mapping_faults(unverified_document: bytes) -> tuple[Fault, ...]:
    """Find every fault of a mapping document, in the order of the file. Never raises on any bytes."""
    return checked_mapping(unverified_document)[1]


def parse_mapping(unverified_document: bytes, *, name: str = "mapping") -> CaseMapping:
    """Read a mapping document.

    Raises:
        MappingFaultsError: the document has faults; the error lists every one with its place.
    """
    mapping, faults = checked_mapping(unverified_document)
    if mapping is None:
        raise MappingFaultsError(faults, name=name)
    return mapping


@lru_cache
def _shipped(mapping_id: str) -> CaseMapping:
    return parse_mapping((files("caseschemas") / "mappings" / f"{mapping_id}.json").read_bytes(), name=mapping_id)
