"""Every fault of a schema document, explained.

1. The file is read as UTF-8 and JSON, within limits; a file that cannot be read has one fault.
2. The shape is checked against case-schema.schema.json.
3. What is sound in shape is checked for what a shape cannot say: references, value lists, bands, languages.
4. A document without faults always builds a model; a document with faults never does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caseschemas._build import build_schema
from caseschemas._check_derived import check_derived, check_tables
from caseschemas._check_references import (
    check_block,
    check_consent,
    check_groups,
    check_hierarchies,
    check_languages,
    check_logic,
    check_names,
    check_person,
)
from caseschemas._check_values import check_attribute, check_codelists
from caseschemas._checker import Checker
from caseschemas._document import MAX_BYTES, Document, read_document
from caseschemas._shape import shape_faults
from caseschemas.errors import SchemaFaultsError, UnknownSchemaError
from caseschemas.faults import Fault
from caseschemas.schema import CaseSchema


def schema_faults(unverified_document: bytes | str | Mapping[str, Any]) -> tuple[Fault, ...]:
    """Find every fault of a schema document, in the order of the file. Never raises on any text or bytes.

    Args:
        unverified_document: The bytes or the text of a file, or the JSON value that was in it.

    >>> [str(fault) for fault in schema_faults('{"format": "casehaven-schema/2"}')]  # doctest: +NORMALIZE_WHITESPACE
    ["line 1, /format: found 'casehaven-schema/2', expected 'casehaven-schema/1';
      write 'casehaven-schema/1', or use the version of Casehaven that made the file [wrong-format]"]
    """
    return _checked(_bytes(unverified_document))[1]


def parse_schema(unverified_document: bytes | str | Mapping[str, Any], *, name: str = "schema") -> CaseSchema:
    """Read a schema document.

    Args:
        unverified_document: The bytes or the text of a file, or the JSON value that was in it.
        name: What the error calls the document.

    Raises:
        SchemaFaultsError: the document has faults; the error lists every one with its place.
    """
    document, faults = _checked(_bytes(unverified_document))
    if document is None or faults:
        raise SchemaFaultsError(faults, name=name)
    return build_schema(document.value)


def read_schema_file(path: Path) -> bytes:
    """Read a file that should be a schema, at most one byte more than a schema may have.

    Raises:
        UnknownSchemaError: there is no such file, or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnknownSchemaError(f"cannot read {str(path)!r}: {error.strerror or type(error).__name__}") from error


def _bytes(unverified_document: bytes | str | Mapping[str, Any]) -> bytes:
    if isinstance(unverified_document, bytes):
        return unverified_document
    if isinstance(unverified_document, str):
        return unverified_document.encode("utf-8", "surrogatepass")
    return json.dumps(dict(unverified_document), indent=2).encode("ascii")


def _checked(raw: bytes) -> tuple[Document | None, tuple[Fault, ...]]:
    document, faults = read_document(raw)
    if document is None:
        return None, tuple(faults)
    shape = shape_faults(document.value)
    foreign = [fault for fault in shape if fault.code == "wrong-format"]
    for found in foreign or shape:
        line = document.line(found.pointer)
        faults.append(
            Fault(
                code=found.code,
                pointer=found.pointer,
                line=line,
                found=found.found,
                expected=found.expected,
                advice=found.advice,
            )
        )
    if isinstance(document.value, dict) and not foreign:
        _check_beyond_shape(Checker(document, faults))
    return document, tuple(sorted(set(faults), key=lambda fault: (fault.line, fault.pointer, fault.code, fault.found)))


def _check_beyond_shape(checker: Checker) -> None:
    check_names(checker)
    check_languages(checker)
    check_codelists(checker)
    for position, raw in checker.items("attributes"):
        check_attribute(checker, position, raw)
    check_person(checker)
    check_block(checker)
    check_consent(checker)
    check_groups(checker)
    check_hierarchies(checker)
    check_logic(checker)
    check_derived(checker)
    check_tables(checker)
