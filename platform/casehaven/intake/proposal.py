"""A mapping proposed for a file: exact matches, guesses that say why, and what is dropped.

1. Exact: a column's name, or one of its other headers, is the name of an attribute or a label of it in one of the schema's languages, and of no other. Names go before
   labels: a published template has labels that stand over the wrong columns.
2. Everything else is a guess: words that mean the same, one letter of difference, most words in common. A guess for an attribute with a list of values is made only
   where the column's cells bear it out.
3. An age may come from a date of birth and a date of registration; a flag from one value of a column of several values. Both are guesses.
4. What tells people apart is never taken for granted: a column that might is a guess, and where there is none somebody has to say that each row is a person.
5. A column that bears the name of an attribute which follows from another one is not read: the schema's table says what stands there.
6. Records of people who are not victims stay behind, where the schema has a code for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from casehaven.intake.cell_reading import BLANK, SPACED, UNDERSTOOD, CellReader
from casehaven.intake.headers import compact, concept, likeness, misspelt, tails
from casehaven.intake.held import HeldSource
from casehaven.intake.intake_mapping import AttributeMapping, Dropped, How, IntakeMapping, LeftOut, Status
from casehaven.intake.source import SourceColumn
from casehaven.intake.value_proposal import named_flags, proposed_dates, proposed_flags, with_values, words_of
from caseschemas import CaseSchema, SchemaAttribute

NOT_A_VICTIM: Final = frozenset({"notavictimoftrafficking", "notavictim"})
"""Codes, in compact form, of records that stay behind."""

_COPIED: Final = frozenset({"person", "identifier", "text"})
_ALIKE: Final = 0.6
"""Share of telling words in common from which two headers are taken for alike."""

_BORNE_OUT: Final = 0.3
"""Share of filled rows that have to be understood for a guess."""

_LOOKED_AT: Final = 2_000
"""Distinct cells that are looked at to bear out a guess."""


def propose(held: HeldSource, schema: CaseSchema) -> IntakeMapping:
    """Propose a mapping; `guesses` of it need a yes.

    Args:
        held: the file.
        schema: what is filled.
    """
    return _Proposal(held=held, schema=schema).make()


@dataclass(kw_only=True)
class _Proposal:
    held: HeldSource
    schema: CaseSchema
    found: dict[str, AttributeMapping] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    """Names of columns that fill something."""
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    """By column: the words that its cells are made of."""

    def make(self) -> IntakeMapping:
        self._by_name()
        self._flags(named=True)
        self._by_label()
        self._by_likeness()
        self._registration()
        self._age()
        self._flags(named=False)
        self._person()
        ordered = [self.found[a.name] for a in self.schema.attributes if a.name in self.found and a.derived is None]
        dated = [proposed_dates(self.held, self.schema, entry) for entry in ordered]
        attributes = tuple(with_values(self.held, self.schema.attribute(entry.to), entry) for entry in dated)
        key = self.held.source.record_key
        used = {name for entry in attributes for name in (*entry.source, entry.at)} | {key}
        return IntakeMapping(
            schema_id=self.schema.id,
            schema_version=self.schema.version,
            tool=self.held.source.tool.value,
            columns=tuple(column.name for column in self.held.columns),
            attributes=attributes,
            dropped=tuple(
                Dropped(column=column.name, why=self._reason(column))
                for column in self.held.columns
                if column.name not in used
            ),
            record_key=key,
            left_out=tuple(self._left_out()),
        )

    # --- columns ---

    def _free(self, *, tool: bool = False) -> Iterator[SourceColumn]:
        for column in self.held.columns:
            if column.name not in self.taken and (tool or column.role == "answer"):
                yield column

    def _open(self, *, derived: bool = False) -> Iterator[SchemaAttribute]:
        for attribute in self.schema.attributes:
            if attribute.name not in self.found and (derived or attribute.derived is None):
                yield attribute

    def _take(
        self, attribute: SchemaAttribute, column: SourceColumn, status: Status, why: str = "", *, how: How | None = None
    ) -> None:
        self.found[attribute.name] = AttributeMapping(
            to=attribute.name,
            source=(column.name,),
            how=how or ("copy" if attribute.role in _COPIED else "read"),
            status=status,
            why=why,
        )
        self.taken.add(column.name)

    def _by_name(self) -> None:
        for attribute in self._open(derived=True):
            form = compact(attribute.name)
            whole = [column for column in self._free() if compact(column.name) == form]
            ends = [column for column in self._free() if any(compact(end) == form for end in tails(column.name))]
            labelled = [column for column in self._free() if any(compact(label) == form for label in column.labels)]
            for columns in (whole, ends, labelled):
                if len(columns) == 1:
                    self._take(attribute, columns[0], "exact")
                elif columns:
                    self._take(attribute, columns[0], "guess", f"{len(columns)} columns have this name")
                if columns:
                    break

    def _by_label(self) -> None:
        owners: dict[str, set[str]] = {}
        for attribute in self.schema.attributes:
            for label in (*attribute.labels.values(), *attribute.synonyms):
                owners.setdefault(compact(label), set()).add(attribute.name)
        matches: dict[str, list[tuple[SourceColumn, str]]] = {}
        for column in self._free():
            for form in dict.fromkeys(compact(text) for text in _texts(column)):
                for name in sorted(owners.get(form, ())):
                    if name not in self.found and all(column is not other for other, _ in matches.get(name, ())):
                        matches.setdefault(name, []).append((column, form))
        for name, columns in matches.items():
            attribute = self.schema.attribute(name)
            free = [(column, form) for column, form in columns if column.name not in self.taken]
            if not free:
                continue
            column, form = free[0]
            if len(free) == 1 and len(owners[form]) == 1:
                self._take(attribute, column, "exact")
            elif self._bears_out(attribute, column):
                self._take(attribute, column, "guess", "the label is not of this attribute alone")

    def _by_likeness(self) -> None:
        ranked = []
        for attribute in self._open():
            if attribute.role == "person":
                continue
            for column in self._free():
                score, why = _likeness(attribute, column)
                if score:
                    ranked.append((-score, attribute.name, column.name, attribute, column, why))
        for _, _, _, attribute, column, why in sorted(ranked, key=lambda entry: entry[:3]):
            if attribute.name in self.found or column.name in self.taken:
                continue
            if self._bears_out(attribute, column):
                self._take(attribute, column, "guess", why)

    def _bears_out(self, attribute: SchemaAttribute, column: SourceColumn) -> bool:
        """Whether enough of the filled rows are understood; of what is only copied nothing is read."""
        if not attribute.values:
            return True
        entry = AttributeMapping(to=attribute.name, source=(column.name,))
        cells = self.held.column(column.name)
        reader = CellReader(attribute, entry, spaced=self.held.source.tool.value in SPACED)
        counts = cells.counts()[:_LOOKED_AT]
        words = [column.options.get(cell, cell) for cell in cells.first(_LOOKED_AT)]
        states = np.array([reader.read((word,))[1] for word in words], np.int8)
        filled = int(counts[states != BLANK].sum())
        return filled == 0 or int(counts[states == UNDERSTOOD].sum()) >= _BORNE_OUT * filled

    # --- what several columns say together ---

    def _about(self, *topics: str, tool: bool = False) -> SourceColumn | None:
        """Return a column about one of some topics, whether it fills something or not."""
        filled = {name: entry.to for entry in self.found.values() for name in entry.source if entry.how != "any"}
        for topic in topics:
            for column in self.held.columns:
                labels = self.schema.attribute(filled[column.name]).labels.values() if column.name in filled else ()
                if (tool or column.role == "answer") and topic in (concept(_texts(column)), concept(labels)):
                    return column
        return None

    def _registration(self) -> None:
        block = self.schema.block
        if block is None or block.attribute in self.found:
            return
        column = self._about("registered", "submitted", tool=True)
        if column is not None and self._bears_out(self.schema.attribute(block.attribute), column):
            self._take(self.schema.attribute(block.attribute), column, "guess", "a date at about that time")

    def _age(self) -> None:
        born, block = self._about("birth"), self.schema.block
        if born is None or block is None or block.attribute not in self.found:
            return
        for attribute in self._open():
            if attribute.bands and concept((attribute.name, *attribute.labels.values())) == "age":
                at = self.found[block.attribute].source[0]
                self._take(attribute, born, "guess", f"from a date of birth, at the date in {at}", how="age")
                self.found[attribute.name] = replace(self.found[attribute.name], at=at)

    def _flags(self, *, named: bool) -> None:
        """Flags that are one value of a column of several values: by their very name, or by a likeness."""
        for attribute in list(self._open()):
            if attribute.kind != "flag" or (attribute.role != "analysis" and not named):
                continue
            for column in self.held.columns:
                words = self._words(column)
                codes = named_flags(attribute, words) if named else proposed_flags(attribute, column, words)
                if codes:
                    self.taken.add(column.name)
                    self.found[attribute.name] = AttributeMapping(
                        to=attribute.name,
                        source=(column.name,),
                        how="any",
                        status="exact" if named else "guess",
                        why="" if named else "a value of a column of several values",
                        codes=codes,
                    )
                    break

    def _words(self, column: SourceColumn) -> dict[str, str]:
        if column.name not in self.words:
            self.words[column.name] = words_of(self.held, column) if column.role == "answer" else {}
        return self.words[column.name]

    def _person(self) -> None:
        key = self.schema.person_key
        if key is None or key in self.found:
            return
        column = self._about("person")
        if column is not None:
            self._take(self.schema.attribute(key), column, "guess", "it may tell people apart")
            return
        column = self._about("case")
        if column is not None:
            self._take(self.schema.attribute(key), column, "guess", "a case reference: only if a person has one alone")

    def _left_out(self) -> Iterable[LeftOut]:
        for attribute in self.schema.attributes:
            codes = tuple(value.code for value in attribute.values if compact(value.code) in NOT_A_VICTIM)
            if codes and attribute.name in self.found:
                yield LeftOut(attribute=attribute.name, codes=codes)

    def _reason(self, column: SourceColumn) -> str:
        for name, entry in self.found.items():
            derived = self.schema.attribute(name).derived
            if derived is not None and column.name in entry.source:
                return f"follows from {derived.attribute}: not read"
        if column.role == "tool":
            return "the tool's own"
        about = concept(_texts(column))
        if about in ("first name", "second name", "phone", "email", "birth"):
            return "it may say who somebody is, and the schema has no place for it"
        return "no attribute of the schema is like it"


def _texts(column: SourceColumn) -> tuple[str, ...]:
    return (column.name, *tails(column.name), *column.labels)


def _likeness(attribute: SchemaAttribute, column: SourceColumn) -> tuple[float, str]:
    """Return how alike an attribute and a column are, and why; 0 where they are not."""
    of_attribute = (attribute.name, *attribute.labels.values())
    about = concept((*attribute.labels.values(), attribute.name))
    if about is not None and concept(_texts(column)) == about:
        return 2.0, f"both are about: {about}"
    for text in _texts(column):
        if any(misspelt(text, other) for other in of_attribute):
            return 1.5, "one letter differs"
    best, text = max(
        ((likeness(one, other), other) for one in _texts(column) for other in of_attribute), default=(0.0, "")
    )
    return (best, f"words in common with: {text}") if best >= _ALIKE else (0.0, "")
