"""Blocks: years of first registration, each an account of its own in every dataset (privacy rule 12).

1. The blocks of a dataset are public: the years of its schema's block attribute, and `""` for people whose year is unknown. A schema without such an attribute has the
   one block `""`. No record is looked at, and no account is opened because one showed up (privacy rules 3 and 5).
2. What the schema does not understand or does not list becomes the value that it names for that; where that is no year, it is the block `""`.
3. In which block a person is, the vault fixes: `casehaven.vault.blocks`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from casehaven.errors import CasehavenError
from caseschemas import CaseSchema

_YEAR_DIGITS: Final = 4


class UnknownBlockError(CasehavenError):
    """Years of first registration were chosen that the schema does not list, or none."""


def schema_blocks(schema: CaseSchema) -> tuple[str, ...]:
    """Return the blocks of every dataset under a schema: `""`, then the years in growing order.

    >>> from caseschemas import load_schema
    >>> schema_blocks(load_schema("ctdc-global"))[:3]
    ('', '2002', '2003')
    """
    return ("", *sorted({year for year in years_of_values(schema) if year}))


def parse_blocks(schema: CaseSchema, unverified: Collection[str]) -> tuple[str, ...]:
    """Return blocks that were named, in the order of the public list.

    Raises:
        UnknownBlockError: none are named, or one is not a block of the schema.
    """
    blocks = schema_blocks(schema)
    unknown = sorted(set(unverified) - set(blocks))
    if unknown or not unverified:
        years = f"{blocks[1]} to {blocks[-1]}, and unknown" if len(blocks) > 1 else "unknown alone"
        got = ", ".join(block[:20] or "unknown" for block in unknown[:3]) or "none"
        raise UnknownBlockError(f"{schema.id} has these years of first registration: {years}; got {got}")
    return tuple(block for block in blocks if block in set(unverified))


def years_of_values(schema: CaseSchema) -> tuple[str, ...]:
    """Return the block of each value of the schema's block attribute, in their order; `""` for values that name no year."""
    if schema.block is None:
        return ()
    values = schema.attribute(schema.block.attribute).values
    return tuple(_year(value.code) if value.missing is None else "" for value in values)


def _year(code: str) -> str:
    year = code[:_YEAR_DIGITS]
    return year if len(year) == _YEAR_DIGITS and year.isascii() and year.isdigit() else ""
