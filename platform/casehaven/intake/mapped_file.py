"""A source under a mapping, as a case file of the schema: what `take_in` takes.

1. Every attribute of the schema that the mapping fills, and every one that is counted, is a column; none that follows from another. What is not filled is blank.
2. A row is taken in, or it stays behind by a public rule, or it is refused with a reason, or it holds nothing. Which of them depends on the file and the mapping alone.
3. A record has a record key: the cell of the column that identifies it in its tool; where there is none, what the row says in the file. The same key with the same content twice in a
   file is one record; with another content, the later row is refused, because nobody knows which one is right.
4. Where each row is a person and nothing identifies a record, a person is what the row says in the file and which of the equal rows it is: the same rows in
   another file are the same people, whatever the mapping. A row that was changed is another person.
5. A record of a minor by the mapping's rule is kept, kept with pooled statistics and synthetic release refused, or left behind.
6. A refusal counts for all records of the person in the file, also where the row that holds it stays behind or is refused. Where no row of the person is taken in, it counts for the person
   if the dataset knows them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from casehaven.intake.cell_reading import BLANK, MappedColumn, map_column
from casehaven.intake.errors import MissingColumnsError
from casehaven.intake.held import HeldSource
from casehaven.intake.intake_mapping import IntakeMapping
from caseschemas import CaseSchema, SchemaAttribute

RECORD_KEY: Final = "#record-key"
"""The column of record keys; no attribute can have this name."""

FORMER_KEY: Final = "#former-record-key"
"""The column of record keys by which earlier versions knew the records."""

_ONCE_KEY: Final = {"kobo": "_uuid"}
"""By tool: the column that earlier versions took for the record key, though it changes with every edit."""

NOT_SHARED: Final = ("pooled_statistics", "synthetic_release")
"""Purposes that are refused for minors under the rule `not-shared`."""

TAKEN, EMPTY, REPEATED, LEFT_OUT, MINOR, NO_PERSON, KEY_TWICE = range(7)
REFUSED: Final = {
    NO_PERSON: "no person key",
    KEY_TWICE: "the record key of an earlier row, with other content",
}
"""Why a row is refused."""

_BATCH_ROWS: Final = 1 << 14
_SHOWN: Final = 12


@dataclass(frozen=True, kw_only=True)
class MappedFile:
    """A held source with a mapping in which nothing is guessed any more."""

    held: HeldSource = field(repr=False)
    mapping: IntakeMapping
    schema: CaseSchema
    again: bool = False
    """Take it in although the very file was taken in under another mapping."""
    _arrays: dict[str, pa.Array] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        absent = sorted(set(self.mapping.read) - {column.name for column in self.held.columns})
        if absent:
            shown = ", ".join(absent[:_SHOWN]) + (f" and {len(absent) - _SHOWN} more" if len(absent) > _SHOWN else "")
            raise MissingColumnsError(f"{self.path.name}: columns that the mapping reads are not there: {shown}")

        rules = [entry.attribute for entry in self.mapping.left_out]
        if self.mapping.minors is not None and self.mapping.minors.rule != "keep":
            rules.append(self.mapping.minors.attribute)
        for name in rules:
            if self.mapping.attribute(name) is None:
                raise MissingColumnsError(
                    f"{self.path.name}: a rule leaves out records by {name}, and no column fills it"
                )

    @property
    def path(self) -> Path:
        """The file."""
        return self.held.source.path

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in the order of the schema; the record key last."""
        filled = {entry.to for entry in self.mapping.attributes} | {self.schema.person_key} | self._refusing
        filled |= {attribute.name for attribute in self.schema.recorded}
        names = (a.name for a in self.schema.attributes if a.name in filled)
        return (*names, RECORD_KEY, *([FORMER_KEY] if self._former is not None else []))

    @property
    def _former(self) -> str | None:
        """Name of the column that earlier versions took for the record key; None where it is the record key, or there is none."""
        name = _ONCE_KEY.get(self.held.source.tool.value)
        there = self.mapping.record_key is not None and any(column.name == name for column in self.held.columns)
        return name if there and name != self.mapping.record_key else None

    def digest(self) -> str:
        """Return the SHA-256 of the file as it was read, as hex; with the mapping, where it is taken in again."""
        if not self.again:
            return self.held.sha256
        return hashlib.sha256(bytes.fromhex(self.held.sha256) + self.mapping.digest()).hexdigest()

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the records that are taken in, only the columns asked for."""
        taken = np.flatnonzero(self.fates == TAKEN)
        for start in range(0, len(taken), _BATCH_ROWS):
            places = taken[start : start + _BATCH_ROWS]
            arrays = [self._array(name).take(pa.array(places)) for name in columns]
            yield pa.RecordBatch.from_arrays(arrays, names=list(columns))

    @property
    def steps(self) -> int:
        """How many batches there are."""
        return -(-int(np.count_nonzero(self.fates == TAKEN)) // _BATCH_ROWS)

    # --- columns ---

    @cached_property
    def mapped(self) -> dict[str, MappedColumn]:
        """Every attribute that the mapping fills, of every row of the file."""
        return {
            entry.to: map_column(self.held, entry, self.schema.attribute(entry.to)) for entry in self.mapping.attributes
        }

    def _array(self, name: str) -> pa.Array:
        if name not in self._arrays:
            self._arrays[name] = self._made(name)
        return self._arrays[name]

    def _made(self, name: str) -> pa.Array:
        if name == RECORD_KEY:
            return self._record_keys
        if name == FORMER_KEY and self._former is not None:
            cells = self.held.column(self._former)
            keys = [f"key {cell.strip()}" if cell.strip() else "" for cell in cells.cells]
            return pa.array(keys, pa.string()).take(pa.array(cells.places))
        if name == self.schema.person_key:
            return self._tokens
        refused = name in self._refusing
        if name in self.mapped and self.schema.attribute(name).role == "consent":
            said = self.mapped[name].array().dictionary_decode()
            refusing = self._refused_elsewhere(name) | (self._minors if refused else False)
            return pc.if_else(pa.array(refusing), pa.scalar(self._no(self.schema.attribute(name))), said)
        if name not in self.mapped:
            blank = self._blank(self.schema.attribute(name))
            array: pa.Array = pa.repeat(pa.scalar(blank, pa.string()), self._rows)
        else:
            array = self.mapped[name].array().dictionary_decode() if refused else self.mapped[name].array()
        if refused:
            return pc.if_else(pa.array(self._minors), pa.scalar(self._no(self.schema.attribute(name))), array)
        return array

    def _refused_elsewhere(self, name: str) -> NDArray[np.bool_]:
        """Rows of persons who refuse in a row that is not taken in: one refusal in a file wins (rule 6)."""
        column, tokens = self.mapped[name], pc.utf8_trim_whitespace(self._tokens)
        behind = (self.fates != TAKEN) & self._holding(column, {self._no(self.schema.attribute(name))})
        if not behind.any():
            return np.zeros(self._rows, np.bool_)
        who = pc.unique(tokens.filter(pa.array(behind)))
        found: NDArray[np.bool_] = np.asarray(pc.and_(pc.is_in(tokens, value_set=who), pc.not_equal(tokens, "")))
        return found

    def refused_behind(self) -> dict[str, list[str]]:
        """Return, by consent, who refuses it in a row that is not taken in and has no row that is: tokens, which the dataset may know (rule 6)."""
        tokens = pc.utf8_trim_whitespace(self._tokens)
        absent = pc.and_(pc.not_equal(tokens, ""), pc.invert(pc.is_in(tokens, value_set=self._taken_tokens())))
        found = {}
        for name in self.schema.consent.values():
            if name in self.mapped:
                refusing = self._holding(self.mapped[name], {self._no(self.schema.attribute(name))})
                found[name] = pc.unique(tokens.filter(pc.and_(absent, pa.array(refusing)))).to_pylist()
        return {name: who for name, who in found.items() if who}

    def _taken_tokens(self) -> pa.Array:
        return pc.unique(pc.utf8_trim_whitespace(self._tokens).filter(pa.array(self.fates == TAKEN)))

    @staticmethod
    def _blank(attribute: SchemaAttribute) -> str:
        return attribute.values[attribute.blank].code if attribute.values else ""

    @staticmethod
    def _no(attribute: SchemaAttribute) -> str:
        return next((value.code for value in attribute.values if value.missing == "no"), "?")

    @property
    def _rows(self) -> int:
        return len(self.held.rows)

    # --- persons and records ---

    @cached_property
    def _content(self) -> list[str]:
        """A digest of what each row says in the file: names and cells of its columns, those aside that are empty or the tool's own."""
        parts = []
        for column in sorted(self.held.columns, key=lambda column: column.name):
            if column.role == "answer":
                cells = self.held.column(column.name)
                said = [f"{column.name}\x1f{cell}\x1e" if cell.strip() else "" for cell in cells.cells]
                parts.append(pa.array(said, pa.large_string()).take(pa.array(cells.places)))
        if not parts:
            return [""] * self._rows
        joined = pc.binary_join_element_wise(
            *parts, pa.scalar("", pa.large_string())
        )  # cells hold no control characters
        return [hashlib.sha256(text.encode()).hexdigest()[:40] for text in joined.to_pylist()]

    @cached_property
    def _tokens(self) -> pa.Array:
        if not self.mapping.row_is_person:
            key = self.schema.person_key
            if key is None or key not in self.mapped:
                return pa.repeat(pa.scalar("", pa.string()), self._rows)
            return self.mapped[key].array().dictionary_decode()
        keys = self._own_keys()
        seen: dict[str, int] = {}
        tokens = []
        for place in range(self._rows):
            token = keys[place] if keys is not None else ""
            if not token:
                content = self._content[place]
                seen[content] = seen.get(content, 0) + 1
                token = f"row-{content}-{seen[content]}"
            tokens.append(token)
        return pa.array(tokens, pa.string())

    def _own_keys(self) -> list[str] | None:
        """The cells of the column that identifies a record in its tool."""
        if self.mapping.record_key is None:
            return None
        column = self.held.column(self.mapping.record_key)
        return [column.cells[place].strip() for place in column.places.tolist()]

    @cached_property
    def _record_keys(self) -> pa.Array:
        own, tokens = self._own_keys(), self._tokens
        keys = []
        for place, token in enumerate(tokens.to_pylist()):
            key = own[place] if own is not None else ""
            keys.append(f"key {key}" if key else f"content {len(token)} {token} {self._content[place]}")
        return pa.array(keys, pa.string())

    # --- what becomes of each row ---

    @cached_property
    def _refusing(self) -> set[str]:
        """Consents that are refused for minors."""
        if self.mapping.minors is None or self.mapping.minors.rule != "not-shared":
            return set()
        return {self.schema.consent[purpose] for purpose in NOT_SHARED if purpose in self.schema.consent}

    @cached_property
    def _minors(self) -> NDArray[np.bool_]:
        rule = self.mapping.minors
        if rule is None or rule.attribute not in self.mapped:
            return np.zeros(self._rows, np.bool_)
        attribute, column = self.schema.attribute(rule.attribute), self.mapped[rule.attribute]
        young = {
            attribute.values[attribute.first_known + place].code
            for place, band in enumerate(attribute.bands)
            if band.low is None or band.low < rule.below
        }
        return self._holding(column, young)

    @staticmethod
    def _holding(column: MappedColumn, codes: set[str]) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = np.array([cell in codes for cell in column.cells], np.bool_)[column.places]
        return found

    @cached_property
    def fates(self) -> NDArray[np.int8]:
        """What becomes of each row: TAKEN, EMPTY, REPEATED, LEFT_OUT, MINOR, or a key of REFUSED."""
        fates = np.zeros(self._rows, np.int8)
        told = [column.row_states() != BLANK for name, column in self.mapped.items() if name != self.schema.person_key]
        empty = ~np.any(told, axis=0) if told else np.ones(self._rows, np.bool_)
        nobody = np.asarray(pc.equal(pc.utf8_trim_whitespace(self._tokens), ""))
        fates[nobody] = NO_PERSON
        for entry in self.mapping.left_out:
            if entry.attribute in self.mapped:
                fates[self._left_out(entry.attribute, set(entry.codes))] = LEFT_OUT
        if self.mapping.minors is not None and self.mapping.minors.rule == "leave-out":
            fates[self._minors] = MINOR
        fates[empty] = EMPTY
        self._mark_repeated(fates)
        return fates

    def _left_out(self, name: str, codes: set[str]) -> NDArray[np.bool_]:
        column, attribute = self.mapped[name], self.schema.attribute(name)
        if attribute.kind != "multi":
            return self._holding(column, codes)
        holds = {cell for cell in column.cells if codes & {part.strip() for part in attribute.parts(cell)}}
        return self._holding(column, holds)

    def _mark_repeated(self, fates: NDArray[np.int8]) -> None:
        """Mark, in place, rows whose record key an earlier row has (rule 3)."""
        encoded = pc.dictionary_encode(self._record_keys)
        indices = np.asarray(encoded.indices)
        counts = np.bincount(indices[fates == TAKEN], minlength=len(encoded.dictionary))
        several = np.flatnonzero((fates == TAKEN) & (counts[indices] > 1))
        if not len(several):
            return
        content, tokens = self._content, self._tokens
        first: dict[int, tuple[str, str]] = {}
        for place in several.tolist():
            says = (content[place], tokens[place].as_py())
            before = first.setdefault(int(indices[place]), says)
            if before is not says:
                fates[place] = REPEATED if before == says else KEY_TWICE
