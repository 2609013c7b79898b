"""What a file says about consent, gathered per person while it is read.

1. One refusal in the file wins over every yes in it.
2. A file may refuse for a person who had agreed; it never agrees for a person who had refused: a file that is exported again must not undo a withdrawal.
3. Where somebody says that a person of the file is one whom the dataset knows under another token, every refusal of the earlier one is the new one's.
4. A refusal is in the anchor before it is in the database, so that a restored backup does not bring the yes back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from casehaven.intake.snapshot import consent_meaning
from casehaven.vault import models
from casehaven.vault.datasets import now
from casehaven.vault.store import Vault
from caseschemas import CaseSchema
from casesynth.encode import text_column

Numbers = NDArray[np.int64]

_AT_ONCE = 500
_NEITHER, _REFUSED, _GIVEN = 0, -1, 1

ConsentRow = tuple[int, str, int, bool, str, str]


@dataclass(kw_only=True)
class FileConsents:
    """The consents of one file on its way in."""

    meanings: dict[str, tuple[str, Callable[[str], int]]]
    """By purpose: the column, and what its cells mean."""
    said: dict[str, list[tuple[Numbers, NDArray[np.int8]]]] = field(default_factory=dict)
    """By purpose: places of persons, and what each record says."""

    @classmethod
    def of(cls, schema: CaseSchema, columns: Sequence[str]) -> FileConsents:
        """Return an empty one for a file with these columns."""
        return cls(
            meanings={
                purpose: (name, consent_meaning(schema.attribute(name)))
                for purpose, name in schema.consent.items()
                if name in columns
            }
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        return tuple(name for name, _ in self.meanings.values())

    def add(self, table: pa.Table, places: Numbers) -> None:
        """Take in what some records say."""
        for purpose, (name, meaning) in self.meanings.items():
            cells = text_column(table.column(name), name)
            codes = [0 if cell is None else meaning(cell) for cell in cells.dictionary.to_pylist()] + [0]
            indices = np.asarray(pc.fill_null(cells.indices.cast(pa.int64()), len(codes) - 1))
            self.said.setdefault(purpose, []).append((places, np.array(codes, np.int8)[indices]))

    def refuse(self, name: str, places: Numbers) -> None:
        """Take in that persons refuse what a column asks, without a record of theirs."""
        for purpose, (column, _) in self.meanings.items():
            if column == name:
                self.said.setdefault(purpose, []).append((places, np.full(len(places), _REFUSED, np.int8)))

    def take_over(
        self, connection: Connection, schema: CaseSchema, places: Sequence[int], before: Sequence[int]
    ) -> None:
        """Take in what other persons refused, for the persons at some places: they are the same people.

        Args:
            connection: of the transaction that writes them.
            schema: names the purposes.
            places: of persons of the file.
            before: number of the person whom each of them was.
        """
        for purpose in schema.consent:
            latest = _latest(connection, sorted(set(before)), purpose)
            refusing = [
                place for place, number in zip(places, before, strict=True) if latest.get(number, (0, True))[1] is False
            ]
            if refusing:
                codes = np.full(len(refusing), _REFUSED, np.int8)
                self.said.setdefault(purpose, []).append((np.array(refusing, np.int64), codes))

    def rows(
        self, vault: Vault, connection: Connection, persons: Sequence[int], fresh: Sequence[int]
    ) -> list[ConsentRow]:
        """Return the rows to be written; refusals that change something go into the anchor.

        Args:
            vault: whose anchor remembers refusals.
            connection: of the transaction that writes them.
            persons: number of the person at each place.
            fresh: places of those who are new.
        """
        count, at = len(persons), now()
        is_new = np.zeros(count, bool)
        is_new[list(fresh)] = True
        numbers = np.array(persons, np.int64)
        purposes = sorted(self.said)
        rows: list[ConsentRow] = []
        first: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]] = []
        flipped: list[tuple[int, str]] = []
        for purpose, parts in self.said.items():
            said = np.zeros(count, np.int8)
            for places, codes in parts:
                said[places[(codes == _GIVEN) & (said[places] == _NEITHER)]] = _GIVEN
            for places, codes in parts:
                said[places[codes == _REFUSED]] = _REFUSED
            new = (said != _NEITHER) & is_new
            first.append((numbers[new], np.full(int(new.sum()), purposes.index(purpose)), said[new] == _GIVEN))
            old = (said != _NEITHER) & ~is_new
            latest = _latest(connection, numbers[old].tolist(), purpose)
            for number, given in zip(numbers[old].tolist(), (said[old] == _GIVEN).tolist(), strict=True):
                version, before = latest.get(number, (0, None))
                if before is None or (before and not given):
                    rows.append((number, purpose, version + 1, given, "", at))
                    if not given:  # of those who had not been asked, too: a restored backup would take the next yes
                        flipped.append((number, purpose))
        if flipped:
            vault.anchor.add_withdrawals(*flipped)  # an earlier copy must not bring the yes back
        rows.sort()
        return sorted([*_first_rows(purposes, first, at), *rows])  # two runs that are in order: merged, not sorted anew


def _first_rows(
    purposes: Sequence[str],
    parts: Sequence[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]],
    at: str,
) -> Iterator[ConsentRow]:
    """Yield the first answers of people who are new, by person and purpose.

    Args:
        purposes: in their order.
        parts: numbers of persons, the place of the purpose, and whether they agreed.
        at: when it is recorded.
    """
    if not parts:
        return
    numbers, purpose, given = map(np.concatenate, zip(*parts, strict=True))
    order = np.lexsort((purpose, numbers))
    for number, place, yes in zip(numbers[order].tolist(), purpose[order].tolist(), given[order].tolist(), strict=True):
        yield number, purposes[place], 1, yes, "", at


def _latest(connection: Connection, numbers: Sequence[int], purpose: str) -> dict[int, tuple[int, bool]]:
    """Return version and answer of the latest consent of each person who said anything about a purpose."""
    consent, found = models.consent.c, dict[int, tuple[int, bool]]()
    for start in range(0, len(numbers), _AT_ONCE):
        where = (consent.person_id.in_(numbers[start : start + _AT_ONCE]), consent.purpose == purpose)
        rows = connection.execute(select(consent.person_id, consent.version, consent.given).where(*where))
        for number, version, given in rows:
            if version > found.get(number, (0, False))[0]:
                found[number] = version, bool(given)
    return found
