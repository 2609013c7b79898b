"""A dataset as the vault knows it, and the persons and records in it, as values."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from sqlalchemy import Row

from casehaven.vault.context import Kind, SealContext
from casehaven.vault.errors import DatasetNameError, SealBrokenError
from caseschemas import CaseSchema, parse_schema
from casesynth.domain import Domain

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def check_name(name: str) -> str:
    """Return a name of an organisation or a dataset, or refuse it.

    Raises:
        DatasetNameError: says what a name may be.
    """
    if not _NAME.fullmatch(name):
        raise DatasetNameError(
            f"{name[:60]!r} cannot name an organisation or a dataset: use 1 to 64 of the characters a-z 0-9 . _ - "
            "and start with a letter or digit"
        )
    return name


def parse_dataset_id(unverified: str) -> tuple[str, str]:
    """Read `organisation/dataset`.

    >>> parse_dataset_id("shelter-north/cases")
    ('shelter-north', 'cases')

    Raises:
        DatasetNameError: it is written in another way.
    """
    organisation, slash, name = unverified.partition("/")
    if not slash:
        raise DatasetNameError(f"{unverified[:60]!r} is no dataset: write organisation/dataset")
    return check_name(organisation), check_name(name)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """One organisation's series of case records under one schema."""

    dataset_id: int
    """Its number in the database."""
    organisation: str
    name: str
    schema: CaseSchema
    people_cap: int
    """The largest number of people, declared before a record is read (privacy rule 8)."""
    version: int
    """Raised by every change of its records; 0 when it is new."""

    @property
    def id(self) -> str:
        """`organisation/dataset`, as ledger and messages name it."""
        return f"{self.organisation}/{self.name}"

    @cached_property
    def domain(self) -> Domain:
        """The public value lists of its coded columns."""
        return Domain.from_schema(self.schema)

    def context(self, kind: Kind, object_id: str, *, version: int = 0) -> SealContext:
        """Return the place that something of this dataset is sealed for."""
        return SealContext(
            kind=kind,
            organisation=self.organisation,
            dataset=self.name,
            version=version,
            object_id=object_id,
            schema=self._schema_name,
        )

    @cached_property
    def _schema_name(self) -> str:
        return f"{self.schema.id} {self.schema.version}"


@dataclass(frozen=True, kw_only=True)
class Person:
    """A person of one dataset. Holds no key in the clear."""

    person_id: int
    """A random number; says nothing about the person."""
    dataset_id: int
    token_index: bytes = field(repr=False)
    """What stands for the person token; the key is wrapped for it."""
    wrapped_dek: bytes = field(repr=False)
    """The key of the person's records, wrapped under the epoch."""
    epoch: str
    retain_until: datetime.date | None
    """The last day on which the records may be kept; None: no day was set."""
    created_month: str
    """When the person came into the vault, such as `2026-11`."""
    block_code: bytes = field(repr=False)
    """Of the block that the person is in for good (`blocks`)."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """One opened case record."""

    record_id: int
    person_id: int
    version: int
    """Of the dataset, when the record came in."""
    cells: Mapping[str, str] = field(repr=False)
    """Cells as text by the schema's attribute; what was empty is not there."""
    superseded_by: int | None
    """The record that corrects this one; None: it counts."""


def dataset_of_row(row: Row[Any]) -> Dataset:
    """Return the dataset of a row; whether somebody with the keys wrote the row is another question (`bound_rows`).

    Args:
        row: of the table `dataset`.

    Raises:
        SealBrokenError: the schema is not the one that the row names.
    """
    digest = hashlib.sha256(row.schema_document.encode("utf-8")).hexdigest()
    if digest != row.schema_sha256:
        raise SealBrokenError(f"the schema of {row.organisation}/{row.name} is not what was written; restore a backup")
    return Dataset(
        dataset_id=row.dataset_id,
        organisation=row.organisation,
        name=row.name,
        schema=_schema_of(row.schema_document),
        people_cap=row.people_cap,
        version=row.version,
    )


@lru_cache(maxsize=32)
def _schema_of(document: str) -> CaseSchema:
    """Read a document, once while the process lives: the same text is the same schema, which never changes."""
    return parse_schema(json.loads(document))


def now() -> str:
    """Return the time in UTC, as the tables hold it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def this_month() -> str:
    """Return the month, such as `2026-11`: all that is kept of when a person came or went."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m")
