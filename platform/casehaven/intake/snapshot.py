"""A snapshot of case files: checked before the charge, opened only under a receipt.

1. The check reads every file once: that it is text, that rows have the header's width, that every record has a person key, and that
   there are no more persons than people_cap (privacy rule 8). What it finds wrong is told to the organisation whose file it is.
2. Nothing that the check saw is kept but the SHA-256 of each file. Opening reads the files again and refuses ones that changed.
3. Cells become codes only when the snapshot is opened, after the charge (privacy rule 14).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from casehaven.intake.errors import ChangedCaseFileError, ConsentError
from casehaven.intake.files import CaseFile, open_case_file
from caseschemas import CaseSchema, SchemaAttribute
from casesynth.domain import Domain
from casesynth.encode import encode
from casesynth.persons import PeopleCapError, PersonKeyError, PersonTable, PersonTableBuilder
from casesynth.privacy import Receipt

Check = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Checked case files of one or several organisations."""

    files: tuple[CaseFile, ...]
    digests: tuple[str, ...]
    """SHA-256 of each file when it was checked."""
    schema: CaseSchema
    domain: Domain
    person: str | None
    """Column with the person token; None when one row is one person."""
    consent: SchemaAttribute | None
    """Consent attribute that is applied."""
    people_cap: int

    def open(self, receipt: Receipt, *, check: Check = lambda: None) -> PersonTable:
        """Read the files and return one row per person.

        Args:
            receipt: proof of the charge that pays for this reading.
            check: called per batch; raises to cancel.

        Raises:
            ChangedCaseFileError: a file is not the one that was checked.
        """
        if not isinstance(receipt, Receipt):
            raise TypeError("a snapshot opens under a receipt only")
        builder = PersonTableBuilder(self.domain)
        columns = _read_columns(self.domain, self.person, self.consent)
        for file, digest in zip(self.files, self.digests, strict=True):
            for batch in file.batches(columns):
                check()
                builder.add(
                    encode(
                        batch,
                        self.domain,
                        person=self.person,
                        consent=None if self.consent is None else _consent_meaning(self.consent),
                        consent_column=None if self.consent is None else self.consent.name,
                    )
                )
            if file.digest() != digest:
                raise ChangedCaseFileError(f"{file.path.name} changed while it was being read")
        return builder.build(people_cap=self.people_cap)


def snapshot(
    paths: Sequence[Path],
    schema: CaseSchema,
    *,
    people_cap: int,
    person: str | None,
    legal_basis: str | None = None,
    ignored: Sequence[str] = (),
    check: Check = lambda: None,
) -> Snapshot:
    """Check case files and return the snapshot that a release may open.

    Args:
        paths: one file per organisation.
        schema: what a case is.
        people_cap: public bound on the number of people in all files together.
        person: column with the person token; None when the steward declares that one row is one person.
        legal_basis: the steward's words, where the files have no consent column.
        ignored: columns beside the schema's that may be there.
        check: called per batch; raises to cancel.

    Raises:
        CaseFileError: a file cannot be used as it is; says where and why.
        PersonKeyError: a record has no person key; names file and row.
        PeopleCapError: there are more persons than people_cap.
        ConsentError: neither consent nor a legal basis.
    """
    domain = Domain.from_schema(schema)
    needed = {attribute.name for attribute in schema.analysis} | ({person} if person is not None else set())
    files = tuple(open_case_file(path, schema, needed=needed, ignored=ignored) for path in paths)
    consent = _consent_attribute(files, schema, legal_basis)
    columns = _read_columns(domain, person, consent)
    tokens: set[str] = set()
    rows = 0
    for file in files:
        row = 1  # the header
        for batch in file.batches(columns):
            check()
            rows += batch.num_rows
            if person is not None:
                tokens.update(_tokens(batch.column(person), file, row))
            row += batch.num_rows
            if (rows if person is None else len(tokens)) > people_cap:
                raise PeopleCapError(f"the files hold more than {people_cap} people, the people_cap that was declared")
    return Snapshot(
        files=files,
        digests=tuple(file.digest() for file in files),
        schema=schema,
        domain=domain,
        person=person,
        consent=consent,
        people_cap=people_cap,
    )


def _tokens(column: pa.Array, file: CaseFile, row: int) -> list[str]:
    text = pc.utf8_trim_whitespace(column.cast(pa.string()))
    blank = pc.fill_null(pc.equal(text, ""), True)
    if pc.any(blank).as_py():
        where = row + 1 + int(pc.index(blank, True).as_py())
        raise PersonKeyError(f"{file.path.name}: row {where} has no person key")
    tokens: list[str] = pc.unique(text).to_pylist()
    return tokens


def _read_columns(domain: Domain, person: str | None, consent: SchemaAttribute | None) -> list[str]:
    names = [attribute.name for attribute in domain.attributes]
    return names + [name for name in (person, consent.name if consent else None) if name is not None]


def _consent_attribute(
    files: Sequence[CaseFile], schema: CaseSchema, legal_basis: str | None
) -> SchemaAttribute | None:
    name = schema.consent.get("synthetic_release")
    having = [file for file in files if name is not None and name in file.columns]
    if name is not None and len(having) == len(files):
        return schema.attribute(name)
    if having:
        lacking = ", ".join(file.path.name for file in files if file not in having)
        raise ConsentError(f"the consent column {name} is in some files and not in {lacking}")
    if not (legal_basis or "").strip():
        what = f"no consent column {name}" if name is not None else f"{schema.id} has no consent column"
        raise ConsentError(f"{what}, and no legal basis was stated")
    return None


def _consent_meaning(attribute: SchemaAttribute) -> Callable[[str], int]:
    """Return what a consent cell means: 1 yes, -1 refused, 0 not given (the default)."""

    def meaning(cell: str) -> int:
        place = attribute.code_of(cell)
        if place is None:
            return 0
        missing = attribute.values[place].missing
        return 1 if missing is None else -1 if missing == "no" else 0

    return meaning
