"""Defects of real files that a made-up export can be given.

1. A defect changes how a cell is written down, never which person it is about: what a reader should understand stays known.
2. Every choice is drawn from the seed, so the same request writes the same file.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Defect"]


class Defect(StrEnum):
    """One way in which real files are not as they should be."""

    PARTIAL_DATES = "partial-dates"
    """One date in five is a year alone, one in five a month and a year."""
    TWO_DIGIT_YEARS = "two-digit-years"
    """Dates are written day/month/year with two digits for the year."""
    LOCAL_DIGITS = "local-digits"
    """Ages and dates are written with Arabic-Indic digits."""
    BIRTH_DATES = "birth-dates"
    """A birth date stands where the schema asks for an age."""
    TAG_ROW = "tag-row"
    """A row of tags stands below the header."""
    NUMBERED_ROWS = "numbered-rows"
    """A thousand rows were numbered beforehand; those without a case are empty."""
    NBSP = "nbsp"
    """Non-breaking spaces and spaces at the end of words."""
    LATIN_1 = "latin-1"
    """Text is ISO-8859-1 instead of UTF-8."""
