"""The dialects that can be written, by name, and how a file in one appears.

1. A file appears whole or not at all, and an existing one is replaced only where the caller says so, as for `casehaven.generate.files`.
2. A dialect that cannot have a defect, a language or a schema refuses it: nothing is left out silently.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from casehaven.generate.dialects.by_hand import write_by_hand
from casehaven.generate.dialects.defects import Defect
from casehaven.generate.dialects.export import Export
from casehaven.generate.dialects.htcds_template import write_htcds_template, write_htcds_xlsform
from casehaven.generate.dialects.kobo import write_kobo_csv, write_kobo_xlsx
from casehaven.generate.dialects.odk_central import write_odk_central
from casehaven.generate.dialects.primero import (
    SEPARATOR,
    write_primero_csv,
    write_primero_json,
    write_primero_xlsx,
    write_primero_zip,
)
from casehaven.generate.dialects.salesforce import write_salesforce_csv
from casehaven.generate.dialects.wording import Wording
from casehaven.generate.errors import ExistingFileError, OutputError, RequestError
from caseschemas import CaseSchema

__all__ = ["DIALECTS", "Dialect", "write_dialect"]

_CELLS = frozenset({Defect.PARTIAL_DATES, Defect.TWO_DIGIT_YEARS, Defect.LOCAL_DIGITS, Defect.BIRTH_DATES, Defect.NBSP})
_LANGUAGES = ("en", "fr", "es", "ar")

Writer = Callable[[Export, BinaryIO], None]


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How one tool exports."""

    suffixes: tuple[str, ...]
    """What the file's name ends with."""
    wording: Wording
    """How answers are written down."""
    write: Writer | None = None
    """Writes a file; None where a template or a password is needed."""
    write_with_template: Callable[[Export, BinaryIO, Path], None] | None = None
    """Writes a file from the user's own template."""
    write_with_password: Callable[[Export, BinaryIO, str], None] | None = None
    """Writes a file that opens with a password."""
    defects: frozenset[Defect] = _CELLS
    """Those that files of this tool can have."""
    languages: tuple[str, ...] = ()
    """Languages of labels that it can write."""
    schemas: tuple[str, ...] = field(default=())
    """Ids of the schemas that it has; empty for all."""


_CODES = Wording(separator=" ", plain=True)
_PRIMERO = Wording(separator=SEPARATOR, yes="true", no="false")

DIALECTS = MappingProxyType(
    {
        "kobo-csv": Dialect(
            suffixes=(".csv",), wording=_CODES, write=write_kobo_csv, defects=_CELLS | {Defect.TAG_ROW}, languages=()
        ),
        "kobo-xlsx": Dialect(
            suffixes=(".xlsx",), wording=_CODES, write=write_kobo_xlsx, defects=_CELLS | {Defect.TAG_ROW}
        ),
        "odk-central": Dialect(suffixes=(".zip",), wording=replace(_CODES, dates="%Y-%m-01"), write=write_odk_central),
        "primero-csv": Dialect(suffixes=(".csv",), wording=_PRIMERO, write=write_primero_csv),
        "primero-xlsx": Dialect(
            suffixes=(".xlsx",),
            wording=replace(_PRIMERO, language="en", dates="%d-%b-%Y", yes="Yes", no="No"),
            write=write_primero_xlsx,
            languages=_LANGUAGES,
        ),
        "primero-json": Dialect(suffixes=(".json",), wording=_PRIMERO, write=write_primero_json),
        "primero-zip": Dialect(suffixes=(".zip",), wording=_PRIMERO, write_with_password=write_primero_zip),
        "salesforce-csv": Dialect(
            suffixes=(".csv",),
            wording=Wording(language="en", yes="true", no="false"),
            write=write_salesforce_csv,
            defects=_CELLS - {Defect.LOCAL_DIGITS} | {Defect.LATIN_1},
            languages=("en", "fr", "es"),
        ),
        "htcds-template": Dialect(
            suffixes=(".xlsx", ".xlsm"),
            wording=Wording(language="en"),
            write_with_template=write_htcds_template,
            defects=_CELLS - {Defect.BIRTH_DATES},
            schemas=("htcds-2.0",),
        ),
        "htcds-xlsform": Dialect(
            suffixes=(".xlsx",),
            wording=Wording(),
            write_with_template=write_htcds_xlsform,
            defects=_CELLS - {Defect.BIRTH_DATES, Defect.NBSP},
            schemas=("htcds-2.0",),
        ),
        **{
            f"excel-{language}": Dialect(
                suffixes=(".xlsx",),
                wording=Wording(language=language, separator="; ", dates="%d/%m/%Y", yes=yes, no=no),
                write=write_by_hand,
                defects=_CELLS | {Defect.NUMBERED_ROWS},
            )
            for language, yes, no in (
                ("en", "Yes", "No"),
                ("fr", "Oui", "Non"),
                ("es", "Sí", "No"),
                ("ar", "نعم", "لا"),
            )
        },
    }
)
"""By name."""


def write_dialect(
    name: str,
    schema: CaseSchema,
    people: int,
    seed: int,
    path: Path,
    *,
    template: Path | None = None,
    password: str | None = None,
    language: str | None = None,
    defects: frozenset[Defect] = frozenset(),
    replace_existing: bool = False,
) -> Path:
    """Write made-up case records as a tool would export them, and return the file.

    Args:
        name: of the dialect.
        schema: what a case record holds.
        people: number of people.
        seed: whole number from 0; the same request writes the same bytes.
        path: where to.
        template: the user's own copy of the template, for the dialects that fill one in.
        password: for the dialects that need one. It protects nothing: the records are made up.
        language: of labels, where the dialect has some to choose from.
        defects: how the file goes wrong.
        replace_existing: whether a file that exists may be replaced.

    Raises:
        RequestError: the dialect cannot do what was asked for.
        ExistingFileError: the file exists and `replace_existing` was not given.
        OutputError: the file could not be written.
    """
    dialect = _checked(name, schema, path, template, password, language, defects)
    wording = replace(dialect.wording, defects=defects, language=language or dialect.wording.language)
    export = Export(schema=schema, people=people, seed=seed, wording=wording)
    if path.is_dir():
        raise OutputError(f"{path}: is a folder, expected the name of a file")
    if path.exists() and not replace_existing:
        raise ExistingFileError(f"{path}: exists already and might hold real case records; nothing was written")
    hidden = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with hidden.open("xb") as sink:
            if dialect.write_with_template is not None and template is not None:
                dialect.write_with_template(export, sink, template)
            elif dialect.write_with_password is not None and password is not None:
                dialect.write_with_password(export, sink, password)
            elif dialect.write is not None:
                dialect.write(export, sink)
            sink.flush()
            os.fsync(sink.fileno())
        os.replace(hidden, path)
    except OSError as error:
        raise OutputError(f"{path}: could not be written: {error.strerror or error}; nothing of it was left") from error
    finally:
        hidden.unlink(missing_ok=True)
    return path


def _checked(
    name: str,
    schema: CaseSchema,
    path: Path,
    template: Path | None,
    password: str | None,
    language: str | None,
    defects: frozenset[Defect],
) -> Dialect:
    if name not in DIALECTS:
        raise RequestError(f"dialect {name!r} is not written, expected one of {', '.join(DIALECTS)}")
    dialect = DIALECTS[name]
    if path.suffix.lower() not in dialect.suffixes:
        raise RequestError(f"{path}: the dialect {name} is written to {' or '.join(dialect.suffixes)}")
    if dialect.schemas and schema.id not in dialect.schemas:
        raise RequestError(f"the dialect {name} has the schema {' or '.join(dialect.schemas)}, got {schema.id}")
    if language is not None and language not in dialect.languages:
        some = f", expected one of {', '.join(dialect.languages)}" if dialect.languages else ": it has none to choose"
        raise RequestError(f"the dialect {name} is not written in the language {language!r}{some}")
    wrong = sorted(defects - dialect.defects)
    if wrong:
        raise RequestError(
            f"files of {name} do not have the defect {', '.join(wrong)}; expected {', '.join(sorted(dialect.defects))}"
        )
    for given, needed, option in (
        (template, dialect.write_with_template, "--template"),
        (password, dialect.write_with_password, "--password"),
    ):
        if (given is None) != (needed is None):
            raise RequestError(f"the dialect {name} {'needs' if needed is not None else 'takes no'} {option}")
    if template is not None and not template.is_file():
        raise RequestError(f"{template}: there is no such file")
    return dialect
