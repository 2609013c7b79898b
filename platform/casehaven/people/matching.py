"""Which fields of two records, agreeing, suggest that two person tokens are one person; and their blind index.

1. A field of the index is a compound of at least two parts that each tell people apart: names, a full date of birth, a telephone number. One part
   alone would repeat as often as a common name does, and give itself away by that (threat 7).
2. What is stored is an HMAC-SHA256 of the compound under a key of the organisation and the field, cut to eight bytes. Without the key nobody can try a name; two
   organisations cannot compare theirs (privacy rule 2).
3. A record that lacks a part, or has half a date, has no entry: two blanks never match.
4. Case, accents, punctuation, the order of names and the country code of a number do not matter. Nothing else is forgiven: a proposal should be worth a look.
5. Direct identifiers are read for this at intake and then dropped; the index is all that stays of them.
6. The case reference is indexed alone, so that a person can be found by it. References hardly repeat, so their frequency says nothing; two tokens under one reference of a
   dataset are a possible duplicate too.
7. A mark that is a vowel counts (`names`): राम and रीमा are two names. Entries of earlier versions left such marks out. Names are dropped when they are indexed, so those entries cannot be
   made anew; they meet each other as before. Names in Latin, Greek, Cyrillic, Arabic and Hebrew letters have the same entries as ever.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Protocol

from casehaven.people.names import name_words
from caseschemas import CaseSchema
from caseschemas.cells import partial_date
from caseschemas.words import normal

INDEX_BYTES = 8
"""Of the HMAC that is kept."""

REFERENCE_COLUMN = "caseReference"
"""The identifier that holds the organisation's own case reference, in schemas that have one."""

REFERENCE_FIELD = "reference"
"""Name of the index of case references."""

_DIGITS_KEPT = 8
"""Last digits of a telephone number: the rest is written in many ways."""
_DIGITS_LEAST = 6
_WORD = re.compile(r"[^\W_]+")


class IndexKeys(Protocol):
    """What an index needs of an organisation's keys; `casehaven.vault.keystore.OrganisationKeys` has it."""

    def index_key(self, field: str) -> bytes:
        """Return the key of one index."""
        ...


class CachedIndexKeys:
    """The index keys of an organisation, derived once each."""

    def __init__(self, keys: IndexKeys) -> None:
        self._keys = keys
        self._made: dict[str, bytes] = {}

    def index_key(self, field: str) -> bytes:
        """Return the key of one index."""
        if field not in self._made:
            self._made[field] = self._keys.index_key(field)
        return self._made[field]


@dataclass(frozen=True, kw_only=True)
class MatchingField:
    """A compound of identifiers. Records that agree in it may be of one person."""

    name: str
    """Stored beside the index values; public."""
    label: str
    """What people read."""
    names: tuple[str, ...] = ()
    """Columns with names; the parts of all of them together, in any order."""
    dates: tuple[str, ...] = ()
    """Columns with a full date."""
    numbers: tuple[str, ...] = ()
    """Columns with a telephone number."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that it reads."""
        return (*self.names, *self.dates, *self.numbers)

    @cached_property
    def parts(self) -> tuple[tuple[tuple[str, ...], Callable[[Sequence[str]], str | None]], ...]:
        """What is keyed together: the columns of each part, and how they are read; None means a part is lacking."""
        names = ((self.names, _names),) if self.names else ()
        return (
            *names,
            *(((column,), _date) for column in self.dates),
            *(((column,), _number) for column in self.numbers),
        )


_PERSON_NAMES = ("prs_FirstName", "prs_SecondName")
_FIELDS: dict[str, tuple[MatchingField, ...]] = {
    "htcds-2.0": (
        MatchingField(
            name="name-birth", label="names and date of birth", names=_PERSON_NAMES, dates=("prs_Birthdate",)
        ),
        MatchingField(
            name="name-phone", label="names and telephone", names=_PERSON_NAMES, numbers=("prs_MobilePhone",)
        ),
        MatchingField(
            name="birth-phone",
            label="date of birth and telephone",
            dates=("prs_Birthdate",),
            numbers=("prs_MobilePhone",),
        ),
    )
}
"""By the id of the schema. A schema without two identifying fields has none, and no duplicates are proposed for it."""


def matching_fields(schema: CaseSchema) -> tuple[MatchingField, ...]:
    """Return the compounds that are indexed for a schema; empty where it has no two identifying fields."""
    return _FIELDS.get(schema.id, ())


@lru_cache(maxsize=64)
def reference_column(schema: CaseSchema) -> str | None:
    """Return the column with the organisation's own case reference: an identifier of the name `caseReference`; None where there is none."""
    named = (attribute for attribute in schema.attributes if attribute.name == REFERENCE_COLUMN)
    return next((attribute.name for attribute in named if attribute.role == "identifier"), None)


def reference_value(keys: IndexKeys, reference: str) -> bytes | None:
    """Return the index entry of a case reference; None for a blank one. Case and space around it do not matter."""
    plain = normal(reference)
    if not plain:
        return None
    return hmac.digest(keys.index_key(f"match/{REFERENCE_FIELD}"), plain.encode("utf-8"), "sha256")[:INDEX_BYTES]


def matching_columns(schema: CaseSchema) -> tuple[str, ...]:
    """Return every column that the index reads, in the order of the schema."""
    read = {column for field in matching_fields(schema) for column in field.columns} | {reference_column(schema)}
    return tuple(attribute.name for attribute in schema.attributes if attribute.name in read)


def blind_values(keys: IndexKeys, schema: CaseSchema, cells: Mapping[str, str]) -> dict[str, bytes]:
    """Return the index entries of one record: by the name of the field, without the fields that lack a part.

    Args:
        keys: of the organisation.
        schema: of the record.
        cells: as text, by column; columns that are not there are blank.
    """
    found: dict[str, bytes] = {}
    reference = reference_value(keys, cells.get(REFERENCE_COLUMN, "")) if reference_column(schema) else None
    if reference is not None:
        found[REFERENCE_FIELD] = reference
    read: dict[tuple[str, ...], str | None] = {}  # each part once, though it is in two compounds
    for field in matching_fields(schema):
        compound = _compound(field, cells, read)
        if compound is not None:
            digest = hmac.digest(keys.index_key(f"match/{field.name}"), compound, "sha256")
            found[field.name] = digest[:INDEX_BYTES]
    return found


def compound_of(field: MatchingField, cells: Mapping[str, str]) -> bytes | None:
    """Return what is keyed: the parts, each after its length; None where one is blank or incomplete (rule 3).

    >>> field = MatchingField(name="x", label="x", names=("first", "last"), dates=("born",))
    >>> one = compound_of(field, {"first": "José", "last": "da Silva", "born": "1999-03-04"})
    >>> one == compound_of(field, {"first": "SILVA", "last": "Jose Da", "born": "1999-03-04"})
    True
    >>> compound_of(field, {"first": "José", "last": "da Silva", "born": "1999"}) is None
    True
    """
    return _compound(field, cells, {})


def _compound(field: MatchingField, cells: Mapping[str, str], read: dict[tuple[str, ...], str | None]) -> bytes | None:
    encoded = b""
    for columns, part_of in field.parts:
        if columns not in read:
            read[columns] = part_of([cells.get(column, "") for column in columns])
        part = read[columns]
        if part is None:
            return None
        data = part.encode("utf-8")
        encoded += len(data).to_bytes(4, "big") + data
    return encoded


def _names(cells: Sequence[str]) -> str | None:
    """Return the words of all names in alphabetical order (rule 7); None where one has no word."""
    if all(cell.isascii() for cell in cells):
        found = [_WORD.findall(cell.casefold()) for cell in cells]
        return " ".join(sorted(word for words in found for word in words)) if all(found) else None
    return " ".join(name_words(cells)) or None


@lru_cache(maxsize=1 << 16)
def _day(cell: str) -> str | None:
    found = partial_date(normal(cell))
    return None if found is None or None in found else "-".join(str(number) for number in found)


def _date(cells: Sequence[str]) -> str | None:
    return _day(cells[0])


def _number(cells: Sequence[str]) -> str | None:
    """Return the last digits of a telephone number, in whatever script they are written."""
    digits = "".join(mark if mark.isascii() else str(unicodedata.digit(mark)) for mark in cells[0] if mark.isdigit())
    return digits[-_DIGITS_KEPT:] if len(digits) >= _DIGITS_LEAST else None
