"""What every generator makes first: one profile per person of a chunk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

__all__ = ["NOWHERE", "Birth", "PersonModel", "Profiles"]

NOWHERE = 255
"""Stands for "no second contributor"."""


@dataclass(frozen=True, kw_only=True)
class Birth:
    """What a made-up birthdate has to fit."""

    age: str
    """Name of the column with age bands, one of the model's ``ageing``."""
    at: str
    """Name of the column with the year at which the age is counted."""


@dataclass(frozen=True, kw_only=True)
class Profiles:
    """What is known in the end about each person of a chunk, over all records of that person."""

    codes: Mapping[str, NDArray[Any]]
    """Per column: position in the model's list of values of that column (0 is the missing value), one per person."""
    home: NDArray[Any]
    """Contributor that registered the person first."""
    elsewhere: NDArray[Any]
    """Second contributor that knows the person, or ``NOWHERE``."""

    def __len__(self) -> int:
        return len(self.home)


class PersonModel(Protocol):
    """A made-up world for one schema."""

    contributors: int
    """How many contributors the world has, at most 255."""
    ageing: Mapping[str, tuple[int, ...]]
    """Columns of age bands, whose code 0 is the only missing value: the youngest age of each band."""
    births: Mapping[str, Birth]
    """Identifier columns that hold a birthdate."""
    made_up: Mapping[str, tuple[str, str]]
    """Identifier and free-text columns: what stands before and after the person's number."""
    values: Mapping[str, tuple[str, ...]]
    """Per column, in the schema's order: the values as the schema writes them, a missing one first."""

    def profiles(self, *, seed: int, chunk: int, people: int) -> Profiles:
        """Return the first ``people`` people of a chunk; the same for the same seed and chunk."""
