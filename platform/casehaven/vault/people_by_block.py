"""People of a snapshot, kept apart by block, so that several questions about several blocks open the records once.

1. `only` returns the very people that opening a snapshot of those blocks returns (a test compares both).
2. A token whose records are all in one block is one person there. One that is shared between datasets may be in another block in each: which of its records make the profile
   depends on the blocks that are read, so those few are merged anew each time.
3. Consent is decided before people are put apart: a refusal in a block that is not read still keeps the person out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from casehaven.vault.blocks import Places
from casesynth.codes import Codes
from casesynth.domain import Domain
from casesynth.encode import CodedTable
from casesynth.persons import PeopleCapError, PersonTable, PersonTableBuilder


@dataclass(frozen=True, kw_only=True)
class PeopleByBlock:
    """Everybody of a snapshot who consented. Holds real data; never written to a release."""

    domain: Domain
    people_cap: int
    blocks: tuple[str, ...]
    """The schema's public list; places mean places in it."""
    alone: Mapping[int, PersonTable] = field(repr=False)
    """By place of a block: people all of whose records are in it."""
    several: CodedTable = field(repr=False)
    """Records of tokens that are in several blocks."""
    several_in: Places = field(repr=False)
    """Block of each of these records."""

    def only(self, blocks: Collection[str] | None) -> PersonTable:
        """Return one row per person of these blocks; None for all.

        Raises:
            PeopleCapError: more people than the cap.
        """
        wanted = range(len(self.blocks)) if blocks is None else [self.blocks.index(block) for block in blocks]
        builder = PersonTableBuilder(self.domain)
        builder.add(_rows(self.several, np.isin(self.several_in, list(wanted))))
        parts = [builder.build(people_cap=self.people_cap)]
        parts += [self.alone[place] for place in sorted(set(wanted)) if place in self.alone]
        columns = tuple(np.concatenate(column) for column in zip(*(part.columns for part in parts), strict=True))
        if len(columns[0]) > self.people_cap:
            raise PeopleCapError("the snapshot holds more people than people_cap allows")
        return PersonTable(columns=columns)


def people_by_block(
    records: Sequence[tuple[CodedTable, Places]], domain: Domain, blocks: tuple[str, ...], *, people_cap: int
) -> PeopleByBlock:
    """Put the people of coded records apart by block.

    Args:
        records: of all chunks, with tokens and what each record's person said, and the block of each record's person.
        domain: of the schema.
        blocks: the schema's.
        people_cap: public bound on the number of people.
    """
    empty = pa.array([], pa.binary())
    tables = [table for table, _ in records]
    tokens = pa.chunked_array([table.persons for table in tables] or [empty])
    encoded = pc.dictionary_encode(tokens).unify_dictionaries()
    persons = np.concatenate(
        [np.zeros(0, np.int64), *(np.from_dlpack(part.indices).astype(np.int64) for part in encoded.chunks)]
    )
    said = np.concatenate([np.zeros(0, np.int8), *(table.permitted for table in tables if table.permitted is not None)])
    places = np.concatenate([np.zeros(0, np.int16), *(found for _, found in records)])
    people = int(persons.max()) + 1 if len(persons) else 0
    refused = np.zeros(people, bool)
    refused[persons[said == -1]] = True
    kept = (said == 1) & ~refused[persons]
    low, high = np.full(people, len(blocks), np.int16), np.full(people, -1, np.int16)
    np.minimum.at(low, persons[kept], places[kept])
    np.maximum.at(high, persons[kept], places[kept])
    alone = kept & (low == high)[persons]
    columns: list[Codes] = [
        np.concatenate(parts) if parts else np.zeros(0, np.uint8)
        for parts in ([table.columns[place] for table in tables] for place in range(len(domain.columns)))
    ]
    whole = CodedTable(columns=tuple(columns), persons=_one_array(tokens))
    found: dict[int, PersonTable] = {}
    for place in np.unique(places[alone]).tolist():
        builder = PersonTableBuilder(domain)
        builder.add(_rows(whole, alone & (places == place)))
        found[place] = builder.build(people_cap=people_cap)
    both = kept & ~alone
    return PeopleByBlock(
        domain=domain,
        people_cap=people_cap,
        blocks=blocks,
        alone=found,
        several=_rows(whole, both),
        several_in=places[both],
    )


def _rows(table: CodedTable, kept: NDArray[np.bool_]) -> CodedTable:
    persons = None if table.persons is None else table.persons.filter(pa.array(kept))
    return CodedTable(columns=tuple(column[kept] for column in table.columns), persons=persons)


def _one_array(tokens: pa.ChunkedArray) -> pa.Array:
    found = tokens.combine_chunks()
    return found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)
