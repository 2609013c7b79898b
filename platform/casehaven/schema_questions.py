"""What a schema makes public for a question: the numbers that values stand for, coarser levels, years of first registration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from casehaven.blocks import schema_blocks
from caseschemas import CaseSchema, SchemaAttribute
from casesynth.answers.grammar import Levels, Numbers, parse_question
from casesynth.answers.question import Question
from casesynth.domain import Domain


def public_numbers(schema: CaseSchema) -> Numbers:
    """Return the lowest and the highest number that each value stands for: bands of numbers, and years of dates."""
    return {attribute.name: found for attribute in schema.analysis if (found := _numbers(attribute)) is not None}


def public_levels(schema: CaseSchema) -> Levels:
    """Return the coarser levels of attributes that may be counted: the schema's hierarchies, by their codes."""
    counted = {attribute.name for attribute in schema.analysis}
    return {
        hierarchy.name: (hierarchy.attribute, tuple((parent.code, parent.members) for parent in hierarchy.parents))
        for hierarchy in schema.hierarchies
        if hierarchy.attribute in counted and hierarchy.name not in counted
    }


def parsed_question(unverified: bytes | Mapping[str, Any], schema: CaseSchema, domain: Domain) -> Question:
    """Read a question about people under a schema, with all that the schema makes public.

    Raises:
        QuestionError: it does not fit; names the place.
    """
    return parse_question(
        unverified, domain, public_numbers(schema), blocks=schema_blocks(schema), levels=public_levels(schema)
    )


def _numbers(attribute: SchemaAttribute) -> tuple[tuple[float, float] | None, ...] | None:
    missing = (None,) * attribute.first_known
    if attribute.bands:
        ends = [
            (-math.inf if band.low is None else float(band.low), math.inf if band.high is None else float(band.high))
            for band in attribute.bands
        ]
        return (*missing, *ends)
    if attribute.periods is not None:
        years = [value.code[:4] for value in attribute.values[attribute.first_known :]]
        return (*missing, *((float(year), float(year)) for year in years)) if all(y.isdigit() for y in years) else None
    return None
