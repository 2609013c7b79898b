"""A snapshot of case files: checked before the charge, opened only under a receipt.

1. The check reads every file once: that its columns can be read as text, that rows have the header's width, that every record has a
   person key, and that there are no more persons than people_cap (privacy rule 8). What it finds wrong is told to the organisation whose
   file it is. It reads columns and person keys with the functions that opening uses, so a file that passed can be opened.
2. Nothing that the check saw is kept but the SHA-256 of each file. Opening reads the files again and refuses ones that changed.
3. Cells become codes only when the snapshot is opened, after the charge (privacy rule 14).
4. Tokens are shared, or they are each organisation's own: then the organisation is part of the token, and equal tokens of two
   organisations are two persons.
5. Memory: the check holds one batch, and each distinct token twice at most. Opening holds the coded records: about 2 bytes for each column of the
   domain, and the token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from casehaven.intake.errors import ChangedCaseFileError, ConsentError, PersonColumnError
from casehaven.intake.files import CaseFile, open_case_file
from caseschemas import CaseSchema, SchemaAttribute
from casesynth.domain import Domain
from casesynth.encode import encode, person_tokens
from casesynth.persons import (
    DistinctTokens,
    PeopleCapError,
    PersonKeyError,
    PersonTable,
    PersonTableBuilder,
    first_without_token,
)
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
    issuers: tuple[str, ...]
    """For each file, what stands for its organisation in a token; empty where tokens are shared."""
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
        for file, digest, issuer in zip(self.files, self.digests, self.issuers, strict=True):
            for batch in file.batches(columns):
                check()
                builder.add(
                    encode(
                        batch,
                        self.domain,
                        person=self.person,
                        issuer=issuer,
                        consent=None if self.consent is None else consent_meaning(self.consent),
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
    organisations: Sequence[str] | None = None,
    legal_basis: str | None = None,
    ignored: Sequence[str] = (),
    check: Check = lambda: None,
) -> Snapshot:
    """Check case files and return the snapshot that a release may open.

    Args:
        paths: case files.
        schema: what a case is.
        people_cap: public bound on the number of people in all files together.
        person: column with the person token; None when the steward declares that one row is one person.
        organisations: whose each file is, where tokens are each organisation's own; None where equal tokens mean the same person.
        legal_basis: the steward's words, where the files have no consent column.
        ignored: columns beside the schema's that may be there.
        check: called per batch; raises to cancel.

    Raises:
        CaseFileError: a file cannot be used as it is; says where and why.
        ColumnTypeError: a column cannot be read as text; names file and column.
        PersonColumnError: the person key is a column that holds something else by the schema.
        PersonKeyError: a record has no person key; names file and row.
        PeopleCapError: there are more persons than people_cap.
        ConsentError: neither consent nor a legal basis.
    """
    _check_person(person, schema)
    domain = Domain.from_schema(schema)
    needed = {attribute.name for attribute in schema.recorded} | ({person} if person is not None else set())
    files = tuple(open_case_file(path, schema, needed=needed, ignored=ignored) for path in paths)
    consent = _consent_attribute(files, schema, legal_basis)
    columns = _read_columns(domain, person, consent)
    issuers = _issuers(organisations, len(files))
    tokens = DistinctTokens()
    rows = 0
    for file, issuer in zip(files, issuers, strict=True):
        row = 1  # the header
        for batch in file.batches(columns):
            check()
            rows += batch.num_rows
            if person is not None:
                tokens.add(_tokens(pa.chunked_array([batch.column(person)]), person, issuer, file, row))
            row += batch.num_rows
            _check_cap(rows if person is None else tokens.at_least, people_cap)
    _check_cap(rows if person is None else len(tokens), people_cap)
    return Snapshot(
        files=files,
        digests=tuple(file.digest() for file in files),
        schema=schema,
        domain=domain,
        person=person,
        consent=consent,
        issuers=issuers,
        people_cap=people_cap,
    )


def _check_cap(people: int, people_cap: int) -> None:
    if people > people_cap:
        raise PeopleCapError(f"the files hold more than {people_cap} people, the people_cap that was declared")


def _check_person(person: str | None, schema: CaseSchema) -> None:
    """Refuse a person key that holds something else by the schema; a column outside the schema is the steward's word."""
    role = next((attribute.role for attribute in schema.attributes if attribute.name == person), "person")
    if role not in ("person", "identifier"):
        raise PersonColumnError(
            f"{person} cannot be the person key: in {schema.id} its role is {role}, and it does not tell persons apart"
        )


def _issuers(organisations: Sequence[str] | None, files: int) -> tuple[str, ...]:
    """Return what stands for the organisation of each file in a token: a number, whatever the name holds."""
    if organisations is None:
        return ("",) * files
    names = sorted(set(organisations))
    return tuple(str(1 + names.index(organisation)) for organisation in organisations)


def _tokens(column: pa.ChunkedArray, name: str, issuer: str, file: CaseFile, row: int) -> pa.Array:
    tokens = person_tokens(column, name, issuer=issuer)
    place = first_without_token(tokens)
    if place is not None:
        raise PersonKeyError(f"{file.path.name}: row {row + 1 + place} has no person key")
    return tokens


def _read_columns(domain: Domain, person: str | None, consent: SchemaAttribute | None) -> list[str]:
    names = [attribute.name for attribute in domain.measured.attributes]
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


def consent_meaning(attribute: SchemaAttribute) -> Callable[[str], int]:
    """Return what a consent cell means: 1 yes, -1 refused, 0 not given (the default).

    A cell that is not blank and that the schema does not know is a refusal: `withdrawn` must never count as silence.
    """

    def meaning(cell: str) -> int:
        place = attribute.code_of(cell)
        if place is None:
            return -1
        missing = attribute.values[place].missing
        return 1 if missing is None else -1 if missing == "no" else 0

    return meaning
