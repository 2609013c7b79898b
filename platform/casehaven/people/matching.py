"""Which fields of two records, agreeing, suggest that two person tokens are one person; and their blind index.

1. A field of the index is a compound of at least two parts that each tell people apart: names, a full date of birth, a telephone number. One part
   alone would repeat as often as a common name does, and give itself away by that (threat 7).
2. What is stored is an HMAC-SHA256 of the compound under a key of the organisation and the field, cut to eight bytes. Without the key nobody can try a name; two
   organisations cannot compare theirs (privacy rule 2).
3. A record that lacks a part, or has half a date, has no entry: two blanks never match.
4. Case, accents, punctuation, the order of names and the country code of a number do not matter. Nothing else is forgiven: a proposal should be worth a look.
5. Direct identifiers are read for this at intake and then dropped; the index is all that stays of them.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from caseschemas import CaseSchema
from caseschemas.cells import partial_date
from caseschemas.words import normal

INDEX_BYTES = 8
"""Of the HMAC that is kept."""

_DIGITS_KEPT = 8
"""Last digits of a telephone number: the rest is written in many ways."""
_DIGITS_LEAST = 6
_WORD = re.compile(r"[^\W_]+")


class IndexKeys(Protocol):
    """What an index needs of an organisation's keys; `casehaven.vault.keystore.OrganisationKeys` has it."""

    def index_key(self, field: str) -> bytes:
        """Return the key of one index."""
        ...


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


def matching_columns(schema: CaseSchema) -> tuple[str, ...]:
    """Return every column that the index reads, in the order of the schema."""
    read = {column for field in matching_fields(schema) for column in field.columns}
    return tuple(attribute.name for attribute in schema.attributes if attribute.name in read)


def blind_values(keys: IndexKeys, schema: CaseSchema, cells: Mapping[str, str]) -> dict[str, bytes]:
    """Return the index entries of one record: by the name of the field, without the fields that lack a part.

    Args:
        keys: of the organisation.
        schema: of the record.
        cells: as text, by column; columns that are not there are blank.
    """
    found: dict[str, bytes] = {}
    for field in matching_fields(schema):
        compound = compound_of(field, cells)
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
    parts: list[str] = []
    if field.names:
        words = [_plain(cells.get(column, "")) for column in field.names]
        if not all(words):
            return None
        parts.append(" ".join(sorted(word for part in words for word in part)))
    for column in field.dates:
        found = partial_date(normal(cells.get(column, "")))
        if found is None or None in found:
            return None
        parts.append("-".join(str(number) for number in found))
    for column in field.numbers:
        digits = "".join(str(unicodedata.digit(mark)) for mark in cells.get(column, "") if mark.isdigit())
        if len(digits) < _DIGITS_LEAST:
            return None
        parts.append(digits[-_DIGITS_KEPT:])
    encoded = [part.encode("utf-8") for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def _plain(name: str) -> list[str]:
    """Return the words of a name without case, accents and punctuation."""
    bare = "".join(mark for mark in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(mark))
    return _WORD.findall(bare)
