"""What the checks beyond shape share: where faults are collected, and which parts of the document are sound enough to look into."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from caseschemas._document import Document
from caseschemas.codelist import shipped_codelist_ids
from caseschemas.faults import Fault, pointer_to, quoted


class Checker:
    """One document under check and the faults found so far."""

    def __init__(self, document: Document, faults: list[Fault]) -> None:
        self.document = document
        """The document and its lines."""
        self.raw: dict[str, Any] = document.value
        """Its top-level object."""
        self.faults = faults
        """Every fault found so far; checks add to it."""
        self._unsound: set[str] = set()
        for fault in faults:
            pointer = fault.pointer
            while pointer not in self._unsound:
                self._unsound.add(pointer)
                pointer = pointer.rpartition("/")[0]
        self._attributes: dict[str, tuple[int, dict[str, Any]]] = {}
        entries = self.raw.get("attributes")
        for position, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                self._attributes.setdefault(entry["name"], (position, entry))

    def add(self, code: str, pointer: str, *, found: str, expected: str, advice: str) -> None:
        """Record a fault."""
        line = self.document.line(pointer)
        self.faults.append(Fault(code=code, pointer=pointer, line=line, found=found, expected=expected, advice=advice))

    def sound(self, *steps: str | int) -> bool:
        """Whether nothing in the part at a place has a fault of shape, so that a check may read it without asking."""
        return pointer_to(*steps) not in self._unsound

    def part(self, *steps: str | int) -> Any:
        """The part at a place, or None if it is absent or not sound."""
        value: Any = self.raw
        for step in steps:
            if isinstance(value, dict) and isinstance(step, str):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                return None
        return value if self.sound(*steps) else None

    def items(self, field: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """The sound entries of a list at the top, with their positions."""
        entries = self.raw.get(field)
        if isinstance(entries, list):
            for position, entry in enumerate(entries):
                if isinstance(entry, dict) and self.sound(field, position):
                    yield position, entry

    def known_attribute(self, name: str, pointer: str) -> dict[str, Any] | None:
        """The attribute that a place refers to if it exists and is sound; a fault if it does not exist."""
        found = self._attributes.get(name)
        if found is None:
            names = list(self._attributes)
            self.unknown("unknown-attribute", pointer, name, names, "an attribute of the schema")
            return None
        return found[1] if self.sound("attributes", found[0]) else None

    def unknown(self, code: str, pointer: str, name: str, known: list[str], what: str) -> None:
        """Record that a place names something that does not exist."""
        close = get_close_matches(name, known, 1, 0.6) if len(known) <= 500 else []  # comparing costs time for each
        listing = ", ".join(quoted(entry) for entry in known[:8]) + (", ..." if len(known) > 8 else "")
        self.add(
            code,
            pointer,
            found=quoted(name),
            expected=f"{what} ({listing})" if listing else f"{what}, of which there is none",
            advice=f"did you mean {quoted(close[0])}?" if close else "correct the name, or add what it should name",
        )

    def codelist(self, name: str) -> tuple[dict[str, Any] | None, bool]:
        """The document's own code list of this name if it has a sound one, and whether the name exists at all."""
        own = self.raw.get("codelists")
        if isinstance(own, dict) and name in own:
            return self.part("codelists", name), True
        return None, name in shipped_codelist_ids()
