"""From people to case records: repeats, second organisations, consent, references, in batches of Arrow columns.

1. Most people have one record. People known to two contributors, and some others, have 2 to 5. The last record knows what the profile
   knows; earlier ones know part of it, under an earlier or the same year and, where the schema keeps the larger value, sometimes a
   smaller one. Merging a person's records by the schema's rules gives back the profile (a test does).
2. The year of first registration is the profile's year; age bands move on with the years between two records.
   Without a person key one record is one person.
3. Organisations are groups of contributors. A person known to two contributors is known to two organisations whatever their number,
   under the same person token.
4. Consent is given per person in steps (care, own statistics, pooled statistics, synthetic release); a few take a part of it back.
5. Tokens and case references are made up: a mixed counter and the position in the file. Other identifiers and free text are what the world says
   they are, with the person's number: nobody takes them for real.
6. Batches are per chunk of people, so a file of any length needs the memory of one chunk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from casehaven.generate import _text
from casehaven.generate.errors import RequestError
from casehaven.generate.network import enforce_logic
from casehaven.generate.profiles import NOWHERE, PersonModel, Profiles
from casehaven.generate.registry import model_for
from casehaven.generate.sampling import CHUNK_PEOPLE, CategoryTable
from caseschemas import CaseSchema, Purpose, SchemaAttribute

__all__ = ["LARGEST_ORGANISATIONS", "LARGEST_PEOPLE", "RecordMaker", "chunk_sizes", "generate_records"]

LARGEST_PEOPLE = 1_000_000_000
"""Most people in one file."""
LARGEST_ORGANISATIONS = 1_000
"""Most organisations in one run."""

_REPEATED = 0.055
_RECORDS = CategoryTable([[0.72, 0.18, 0.07, 0.03]])
_YEARS_BETWEEN = CategoryTable([[0.52, 0.30, 0.12, 0.04, 0.02]])
_KNOWN_EARLIER = 0.72
_SMALLER_EARLIER = 0.25
_TAKEN_BACK = 0.04
_OLDEST_BAND = 20
_PURPOSES: tuple[Purpose, ...] = ("care", "own_statistics", "pooled_statistics", "synthetic_release")
# rows: answers to the four purposes (0 not asked, 1 no, 2 yes); the shares of the rows for contributors that ask well and badly
_ANSWERS = np.array([[2, 2, 2, 2], [2, 2, 2, 1], [2, 2, 1, 1], [2, 1, 1, 1], [2, 2, 0, 0], [0, 0, 0, 0]])
_ANSWER_SHARES = CategoryTable([[0.80, 0.07, 0.05, 0.03, 0.03, 0.02], [0.74, 0.07, 0.05, 0.03, 0.07, 0.04]])

Codes = NDArray[Any]


def chunk_sizes(people: int) -> Iterator[tuple[int, int]]:
    """Yield (chunk, people in it) for a number of people.

    >>> list(chunk_sizes(40_000))
    [(0, 32768), (1, 7232)]
    """
    for chunk, start in enumerate(range(0, people, CHUNK_PEOPLE)):
        yield chunk, min(CHUNK_PEOPLE, people - start)


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Case records of one chunk, before they are shuffled: first everybody's last record, then the earlier ones."""

    codes: dict[str, Codes]
    person: Codes
    """Position of the person in the chunk, per record."""
    contributor: Codes
    """Who wrote the record."""
    births: dict[str, Codes]
    """Per column with a birthdate: the year of birth, 0 where the record's age and year do not tell."""


class RecordMaker:
    """Makes the case records of one schema, seed and number of organisations, chunk by chunk."""

    def __init__(self, schema: CaseSchema, seed: int, *, organisations: int = 1) -> None:
        """Prepare the made-up world of a schema.

        Raises:
            RequestError: the seed or the number of organisations is out of range.
        """
        if seed < 0:
            raise RequestError(f"seed ({seed}) must be a whole number from 0")
        if not 1 <= organisations <= LARGEST_ORGANISATIONS:
            raise RequestError(f"organisations ({organisations}) must be 1 to {LARGEST_ORGANISATIONS}")
        self._schema_of_cases, self._seed, self._organisations = schema, seed, organisations
        self._model: PersonModel = model_for(schema)
        self._consent = {
            schema.consent[purpose]: (position, self._consent_codes(schema.attribute(schema.consent[purpose])))
            for position, purpose in enumerate(_PURPOSES)
            if purpose in schema.consent
        }
        self._dictionaries: dict[str, pa.Array] = {
            attribute.name: pa.array(self._texts(attribute), pa.string())
            for attribute in schema.attributes
            if attribute.values
        }
        self._salt = int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])
        self.chunk_people = CHUNK_PEOPLE
        self.schema = pa.schema([(one.name, self._arrow_type(one)) for one in schema.attributes])
        texts = [text for one in schema.attributes for text in self._texts(one)]
        texts += [text for both in self._model.made_up.values() for text in both]
        self.quoted = any(set(text) & set('",\r\n') for text in texts)

    def _texts(self, attribute: SchemaAttribute) -> tuple[str, ...]:
        return self._model.values.get(attribute.name, tuple(value.code for value in attribute.values))

    def _arrow_type(self, attribute: SchemaAttribute) -> pa.DataType:
        if not attribute.values:
            return pa.string()
        size = len(self._texts(attribute))
        index = pa.int8() if size <= 1 << 7 else pa.int16() if size <= 1 << 15 else pa.int32()
        return pa.dictionary(index, pa.string())

    @staticmethod
    def _consent_codes(attribute: SchemaAttribute) -> NDArray[np.uint8]:
        """Return the positions of not asked, no and yes."""
        no = next(
            (position for position, value in enumerate(attribute.values) if value.missing == "no"), attribute.blank
        )
        return np.array([attribute.blank, no, attribute.first_known], np.uint8)

    def batches(self, chunk: int, people: int) -> tuple[pa.RecordBatch, ...]:
        """Return the case records of the first people of a chunk, one batch per organisation."""
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy=self._seed, spawn_key=(chunk, 1))))
        profiles = self._model.profiles(seed=self._seed, chunk=chunk, people=people)
        rows = self._rows(profiles, random)
        order = random.permutation(len(rows.person))
        serial = np.empty(len(order), np.int64)
        serial[order] = np.arange(len(order))
        if self._organisations == 1:
            return (self._batch(rows, order, serial, chunk),)
        owner = self._owner(rows, profiles)[order]
        return tuple(self._batch(rows, order[owner == number], serial, chunk) for number in range(self._organisations))

    def _rows(self, profiles: Profiles, random: np.random.Generator) -> _Rows:
        people = len(profiles)
        twice = profiles.elsewhere != NOWHERE
        several = twice | (random.random(people) < _REPEATED)
        if self._schema_of_cases.person_key is None:
            several[:] = False
        earlier = np.where(several, _RECORDS.pick(np.zeros(people, np.intp), random.random(people)) + 1, 0)
        person = np.repeat(np.arange(people), earlier)
        number = np.arange(len(person)) - np.repeat(np.cumsum(earlier) - earlier, earlier)
        steps = _YEARS_BETWEEN.pick(np.zeros(len(person), np.intp), random.random(len(person))).astype(np.int64)
        codes = {name: column.copy() for name, column in profiles.codes.items()}
        past = {name: column[person] for name, column in profiles.codes.items()}
        years_after = self._years_after(profiles, codes, past, person, number, steps, earlier)
        self._forget(past, random)
        self._age(profiles, codes, past, person, years_after, random)
        enforce_logic(self._schema_of_cases, past, self._model.values)
        contributor = self._contributors(profiles, person, number, earlier, random)
        joined = {name: np.concatenate([codes[name], past[name]]) for name in codes}
        whole = np.concatenate([np.arange(people), person])
        joined |= self._consents(profiles, person, whole, random)
        return _Rows(codes=joined, person=whole, contributor=contributor, births=self._births(profiles, joined, whole))

    def _years_after(
        self, profiles: Profiles, codes: dict[str, Codes], past: dict[str, Codes], person: Codes, number: Codes, steps: Codes,
        earlier: Codes,
    ) -> tuple[Codes, Codes]:  # fmt: skip
        """Set the date of every record; return the periods since the first record for last and for earlier records."""
        block = self._schema_of_cases.block
        nothing = np.zeros(len(profiles), np.int64), np.zeros(len(person), np.int64)
        if block is None or block.attribute not in codes:
            return nothing
        since = np.cumsum(steps) - steps  # periods before this record, over all earlier records of the chunk
        start = (np.cumsum(earlier) - earlier)[person]
        after_past = since - since[start] if len(since) else since
        total = np.bincount(person, weights=steps, minlength=len(profiles)).astype(np.int64)
        first = profiles.codes[block.attribute].astype(np.int64)
        known = first >= self._schema_of_cases.attribute(block.attribute).first_known
        last = len(self._model.values[block.attribute]) - 1
        after_last = np.where(known, np.minimum(total, last - first), 0)
        after_past = np.where(known[person], np.minimum(after_past, last - first[person]), 0)
        codes[block.attribute] = (first + after_last).astype(codes[block.attribute].dtype)
        past[block.attribute] = (first[person] + after_past).astype(past[block.attribute].dtype)
        return after_last, after_past

    def _forget(self, past: dict[str, Codes], random: np.random.Generator) -> None:
        """Empty cells of earlier records, and make some values smaller where the larger one is kept."""
        block = self._schema_of_cases.block
        for attribute in self._schema_of_cases.analysis:
            if block is not None and attribute.name == block.attribute:
                continue
            column = past[attribute.name]
            draw = random.random(len(column), dtype=np.float32)
            known = column >= attribute.first_known
            if attribute.merge == "max" and len(attribute.values) - attribute.first_known > 1:
                column[known & (draw < _SMALLER_EARLIER) & (column > attribute.first_known)] -= 1
            column[known & (draw > _KNOWN_EARLIER)] = attribute.blank

    def _age(
        self, profiles: Profiles, codes: dict[str, Codes], past: dict[str, Codes], person: Codes, after: tuple[Codes, Codes],
        random: np.random.Generator,
    ) -> None:  # fmt: skip
        """Move age bands on: the profile holds the band at the first record that knows it."""
        after_last, after_past = after
        for name, lowest in self._model.ageing.items():
            known = past[name] > 0
            first = after_last.copy()
            np.minimum.at(first, person[known], after_past[known])
            floors = np.array(lowest)
            band = profiles.codes[name].astype(np.intp) - 1
            widths = np.append(np.diff(floors), 1)
            age = floors[band] + (random.random(len(profiles)) * widths[band]).astype(np.int64)
            for column, who, when in ((codes[name], slice(None), after_last), (past[name], person, after_past)):
                moved = np.searchsorted(floors, age[who] + when - first[who], side="right")
                column[:] = np.where(column > 0, moved, 0)

    def _births(self, profiles: Profiles, codes: dict[str, Codes], whole: Codes) -> dict[str, Codes]:
        """Return years of birth: the same in all records of a person, empty in those whose age band or year does not fit it."""
        found: dict[str, Codes] = {}
        for name, birth in self._model.births.items():
            floors = np.array(self._model.ageing[birth.age])
            middles = floors + np.append(np.diff(floors) // 2, _OLDEST_BAND // 2)
            texts = self._model.values[birth.at]
            years = np.array([int(text) if text.isdecimal() else 0 for text in texts])
            band, year = profiles.codes[birth.age].astype(np.intp), years[profiles.codes[birth.at]]
            born = np.where((band > 0) & (year > 0), year - middles[band - 1], 0)[whole]
            now = np.searchsorted(floors, years[codes[birth.at]] - born, side="right")
            found[name] = np.where((born > 0) & (codes[birth.age] == now), born, 0)
        return found

    def _contributors(
        self, profiles: Profiles, person: Codes, number: Codes, earlier: Codes, random: np.random.Generator
    ) -> Codes:
        """Return who wrote each record: of a person known twice, both contributors wrote at least one."""
        twice = profiles.elsewhere != NOWHERE
        second = np.where(twice, profiles.elsewhere, profiles.home)
        swapped = random.random(len(profiles)) < 0.3
        first_writer, last_writer = np.where(swapped, second, profiles.home), np.where(swapped, profiles.home, second)
        middle = random.random(len(person)) < 0.5
        past = np.where((number == 0) | middle, first_writer[person], last_writer[person])
        writers: Codes = np.concatenate([last_writer, past]).astype(np.uint8)
        return writers

    def _consents(
        self, profiles: Profiles, person: Codes, whole: Codes, random: np.random.Generator
    ) -> dict[str, Codes]:
        people = len(profiles)
        answer = _ANSWERS[_ANSWER_SHARES.pick(profiles.home % 2, random.random(people))][whole]
        changed = (random.random(people) < _TAKEN_BACK) & (np.bincount(person, minlength=people) > 0)
        withdrawn = changed[:, None] & (np.arange(len(_PURPOSES)) >= 2)
        answer[:people][withdrawn & (answer[:people] == 2)] = 1
        return {name: codes[answer[:, position]] for name, (position, codes) in self._consent.items()}

    def _place(self, contributor: Codes) -> NDArray[np.int64]:
        """Return each person's organisation: contributors share organisations, or organisations share contributors."""
        contributor = contributor.astype(np.int64)
        if self._organisations <= self._model.contributors:
            return np.asarray(contributor % self._organisations)
        same = (self._organisations - 1 - contributor) // self._model.contributors + 1
        return np.asarray(contributor + self._model.contributors * (np.arange(len(contributor)) % same))

    def _owner(self, rows: _Rows, profiles: Profiles) -> Codes:
        """Return the organisation of each record."""
        home = self._place(profiles.home)
        second = self._place(np.where(profiles.elsewhere == NOWHERE, profiles.home, profiles.elsewhere))
        clash = (second == home) & (profiles.elsewhere != NOWHERE)
        second = np.where(clash, (home + 1) % self._organisations, second)
        at_home = rows.contributor == profiles.home[rows.person]
        owner: Codes = np.where(at_home, home[rows.person], second[rows.person])
        return owner

    def _batch(self, rows: _Rows, order: Codes, serial: Codes, chunk: int) -> pa.RecordBatch:
        columns: list[pa.Array] = []
        for attribute in self._schema_of_cases.attributes:
            if attribute.values:
                kind = self.schema.field(attribute.name).type
                codes = rows.codes.get(attribute.name)
                taken = np.zeros(len(order), np.int8) if codes is None else codes[order]
                index = pa.array(taken.astype(kind.index_type.to_pandas_dtype()))
                columns.append(pa.DictionaryArray.from_arrays(index, self._dictionaries[attribute.name]))
            elif attribute.role == "person":
                counter = (chunk * CHUNK_PEOPLE + rows.person[order]).astype(np.uint64)
                columns.append(_text.mixed_hexadecimal(counter, self._salt))
            elif attribute.name in rows.births:
                columns.append(_text.birthdays(rows.births[attribute.name][order]))
            elif attribute.name in self._model.made_up:
                before, after = self._model.made_up[attribute.name]
                columns.append(_text.labelled(before, chunk * CHUNK_PEOPLE + rows.person[order] + 1, after))
            elif attribute.role == "identifier":
                columns.append(_text.numbered(chunk + 1, serial[order] + 1))
            else:
                columns.append(pa.repeat(pa.scalar("", pa.string()), len(order)))
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)


def generate_records(schema: CaseSchema, people: int, seed: int) -> Iterator[pa.RecordBatch]:
    """Yield batches of made-up case records: every column of the schema, a cell as the schema writes it, "" where it is missing.

    Args:
        schema: what a case record holds.
        people: number of people; about 17 % have several records.
        seed: whole number from 0; the same seed gives the same records.

    Raises:
        RequestError: an argument is out of range.
    """
    if not 0 <= people <= LARGEST_PEOPLE:
        raise RequestError(f"people ({people}) must be 0 to {LARGEST_PEOPLE}")
    maker = RecordMaker(schema, seed)
    for chunk, size in chunk_sizes(people):
        yield from maker.batches(chunk, size)
