"""Person tokens, record keys and case references as they leave an organisation: keyed hashes under the agreement's linkage key.

1. One rule per schema, with a version, says what makes a person token. `names-birth/1` (schema `htcds-2.0`): the words of all names (`name_words`) and the full date of birth. The
   partners of an agreement get the same token for the same person, if both wrote the same. Sex is left out: it is blank or written differently too often. Accents are forgiven
   only in scripts where they are additions; elsewhere marks are vowels, and two names that differ in them are two names.
2. A record that lacks a name or a full date of birth, and every record of other schemas, has a token of the organisation's own person key (`number/1`), in capitals and small letters as it is
   written: some tools number people so. By default
   the organisation's name goes in: two organisations that both number their people from 1 do not meet. Partners who share one numbering leave it out, all of them.
3. All records of one person key in a run, in whatever file of it, get one token: that of the first compound in the order of bytes, where any record has one. Person keys are the same as in rule 2.
4. Record keys and case references always hold the organisation's name. Their hashes let a correction find its record, and a person be found by whoever has the reference and the
   linkage key.
5. 16 bytes of HMAC-SHA256, as 32 hexadecimal digits, over a label, the schema and the parts, each after its length. The server keys tokens again before it stores them.
6. Matching is never perfect: a person written differently has two tokens. Releases state epsilon for a person behind several.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from casehaven.intake.linkage_key import LinkageKey
from casehaven.people.matching import MatchingField, matching_fields
from casehaven.people.names import name_words
from casehaven.vault.context import prefixed
from caseschemas import CaseSchema
from caseschemas.cells import partial_date
from caseschemas.words import normal

__all__ = [
    "RULE_BY_NUMBER",
    "Numbers",
    "name_words",
    "person_tokens",
    "record_token",
    "reference_token",
    "rule_of",
    "token_columns",
    "token_dates",
]

Numbers = Literal["own", "shared"]
"""Whether person keys are the organisation's own, or numbered by the partners together."""

RULE_BY_NUMBER: Final = "number/1"
_NAMES_BIRTH: Final = "names-birth/1"
_TOKEN_BYTES: Final = 16
_FIELDS: Final = {_NAMES_BIRTH: "name-birth"}


def _compound_field(schema: CaseSchema) -> MatchingField | None:
    return next((field for field in matching_fields(schema) if field.name == _FIELDS[_NAMES_BIRTH]), None)


def rule_of(schema: CaseSchema) -> str:
    """Return the name of the rule that makes a schema's person tokens.

    >>> from caseschemas import load_schema
    >>> rule_of(load_schema("htcds-2.0")), rule_of(load_schema("ctdc-global"))
    ('names-birth/1', 'number/1')
    """
    return RULE_BY_NUMBER if _compound_field(schema) is None else _NAMES_BIRTH


def token_columns(schema: CaseSchema) -> tuple[str, ...]:
    """Return the identifiers that the rule reads beside the person key."""
    field = _compound_field(schema)
    return () if field is None else field.columns


def token_dates(schema: CaseSchema) -> tuple[str, ...]:
    """Return those of `token_columns` that hold a date."""
    field = _compound_field(schema)
    return () if field is None else field.dates


def _compound(field: MatchingField, cells: Mapping[str, str]) -> bytes | None:
    """Return names and date of birth, each after its length; None where one is lacking or incomplete."""
    words = name_words([cells.get(name, "") for name in field.names])
    found = partial_date(normal(cells.get(field.dates[0], "")))
    if not words or found is None or None in found:
        return None
    return prefixed(" ".join(words).encode()) + prefixed("-".join(map(str, found)).encode())


def _number(person: str) -> str:
    """Return a person key without white space around it, in one Unicode form."""
    return " ".join(unicodedata.normalize("NFC", person).split())


def person_tokens(
    key: LinkageKey,
    schema: CaseSchema,
    organisation: str,
    persons: Sequence[str],
    identifiers: Mapping[str, Sequence[str]],
    numbers: Numbers = "own",
) -> list[str]:
    """Return the person token of each record.

    Args:
        key: of the agreement.
        schema: of the records.
        organisation: whose they are.
        persons: the organisation's own person key of each record; never empty.
        identifiers: by column, of each record: what `token_columns` names; absent ones are blank.
        numbers: see `Numbers`.
    """
    field = _compound_field(schema)
    first: dict[str, bytes] = {}
    if field is not None:
        there = [name for name in field.columns if name in identifiers]
        for place, person in enumerate(map(_number, persons)):
            compound = _compound(field, {name: identifiers[name][place] for name in there})
            if compound is not None and (person not in first or compound < first[person]):
                first[person] = compound
    made: dict[str, str] = {}
    for person in dict.fromkeys(persons):
        compound = first.get(_number(person))
        if compound is not None:
            made[person] = _token(key, "person", schema.id, _NAMES_BIRTH, compound)
        else:
            whose = organisation if numbers == "own" else ""
            made[person] = _token(key, "person", schema.id, RULE_BY_NUMBER, whose.encode(), _number(person).encode())
    return [made[person] for person in persons]


def record_token(key: LinkageKey, organisation: str, record_key: str) -> str:
    """Return what stands for a record key."""
    return _token(key, "record", organisation, record_key.encode("utf-8", "surrogatepass"))


def reference_token(key: LinkageKey, organisation: str, reference: str) -> str:
    """Return what stands for a case reference, empty for a blank one; case and spaces do not matter."""
    plain = normal(reference)
    return _token(key, "reference", organisation, plain.encode("utf-8")) if plain else ""


def _token(key: LinkageKey, kind: str, *parts: str | bytes) -> str:
    encoded = (part.encode("utf-8") if isinstance(part, str) else part for part in parts)
    return key.digest(f"casehaven-prepared-{kind}/1", *encoded)[:_TOKEN_BYTES].hex()
