"""A code list: values that several attributes share, with the coarser levels that they belong to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from caseschemas.attribute import Value
from caseschemas.labels import Labels

CODELIST_FORMAT = "casehaven-codelist/1"
"""The version of the format of shipped code lists."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """A coarser level of a code list."""

    name: str
    """Unique in the code list."""
    parents: tuple[tuple[str, Labels, tuple[str, ...]], ...]
    """Code, labels and members (codes of values) of each coarser value, in public order."""


@dataclass(frozen=True, kw_only=True)
class CodeList:
    """Values with their coarser levels.

    >>> countries = shipped_codelist("iso-3166-1")
    >>> len(countries.values), [level.name for level in countries.levels]
    (249, ['region', 'subregion'])
    """

    values: tuple[Value, ...]
    """The values in public order."""
    levels: tuple[Level, ...] = ()
    """The coarser levels."""

    def level(self, name: str) -> Level | None:
        """The level with this name, if there is one."""
        return next((level for level in self.levels if level.name == name), None)


def codelist_of(document: Mapping[str, Any]) -> CodeList:
    """Build a code list from the `values` and `levels` of a well-formed document."""
    values = tuple(value_of(raw) for raw in document["values"])
    levels = []
    for level in document.get("levels", ()):
        members: dict[str, list[str]] = {}
        for raw in document["values"]:
            members.setdefault(raw["within"][level["name"]], []).append(raw["code"])
        parents = tuple(
            (raw["code"], Labels(raw["labels"]), tuple(members.get(raw["code"], ()))) for raw in level["values"]
        )
        levels.append(Level(name=level["name"], parents=parents))
    return CodeList(values=values, levels=tuple(levels))


def value_of(raw: Mapping[str, Any]) -> Value:
    """Build a value from a well-formed document; a missing value says why in `means`."""
    return Value(
        code=raw["code"],
        labels=Labels(raw["labels"]),
        synonyms=tuple(raw.get("synonyms", ())),
        missing=raw.get("means"),
    )


def shipped_codelist_ids() -> tuple[str, ...]:
    """The ids of the code lists that come with the package, sorted."""
    folder = files("caseschemas") / "codelists"
    return tuple(sorted(entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")))


@lru_cache
def shipped_codelist(codelist_id: str) -> CodeList:
    """Load a code list that comes with the package.

    Raises:
        KeyError: there is no such code list.
    """
    if codelist_id not in shipped_codelist_ids():
        raise KeyError(codelist_id)
    return codelist_of(json.loads((files("caseschemas") / "codelists" / f"{codelist_id}.json").read_text("utf-8")))
