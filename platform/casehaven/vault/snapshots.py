"""A snapshot of datasets in the vault: who may be counted is settled when it opens, and it opens under a receipt only.

1. Before the charge only public facts are looked at: that the datasets are there, under one schema, and that people_cap covers their own people caps
   (privacy rule 8). Nothing of a record is read, and nothing depends on how many there are.
2. Opening counts the records of persons whose latest consent to the purpose is a yes. No answer is no consent. One refusal of a token in any of the
   datasets keeps the person out of all of them, where tokens are shared. What the anchor remembers as withdrawn is a refusal, whatever the database says.
3. A record that was corrected does not count; its correction does. Records whose retention is over do not count; a refusal outlives them.
4. What opens is the datasets' versions of that moment, read in one transaction. When a dataset changes while it is opened, the opening begins again, until it opens: whether it
   changed may depend on who is there, so no failure tells of it. Whom changes overtook `TURNS` times holds them off, where they let it, while it reads. Its chunk
   files are those that the anchor knows, and a row of them counts only while the record and the person are there, and were not erased.
5. Consent is read when the snapshot opens (privacy rule 35).
6. The audit log says that the datasets were opened, for which purpose and charge; the entry is on disk before a chunk is read.
7. An organisation's own people open without a charge for its own statistics alone, because those numbers stay with their owner (privacy rule 5).
8. Where blocks are named, only people of those blocks count, in each dataset by itself and before tokens are merged (privacy rule 12). What is read does not depend on it:
   every chunk is opened and the rows of other blocks are let go of at once, but for refusals (rule 2).
9. Memory: the coded records of all chunks, about 2 bytes for each column of the domain and 30 more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, Select, select

from casehaven.blocks import parse_blocks, schema_blocks
from casehaven.vault import models
from casehaven.vault.anchor_state import AnchorState
from casehaven.vault.chunks import TOKEN_BYTES, ChunkRows
from casehaven.vault.datasets import Dataset
from casehaven.vault.errors import (
    DamagedChunkError,
    EpochError,
    PurposeRefusedError,
    SchemaDiffersError,
    SnapshotChangedError,
    VaultBusyError,
)
from casehaven.vault.store import Vault
from caseschemas import CaseSchema, Purpose
from casesynth.encode import CodedTable
from casesynth.notes import registered_words
from casesynth.persons import PeopleCapError, PersonTable, PersonTableBuilder
from casesynth.privacy import Receipt

if TYPE_CHECKING:
    from casehaven.vault.people_by_block import PeopleByBlock
    from casesynth.answers.counted import RecordTable

Opened = TypeVar("Opened")
Check = Callable[[], None]
Tokens = Literal["shared", "separate"]

TURNS: Final = 3
"""How often an opening begins before it holds changes off (rule 4)."""
_WAIT_SECONDS: Final = 1.0
_ISSUER_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class VaultSnapshot:
    """Datasets of a vault at their present versions, for one purpose."""

    vault: Vault
    datasets: tuple[Dataset, ...]
    purpose: Purpose
    people_cap: int
    tokens_are: Tokens
    """Of several organisations: equal tokens are the same person, or the organisation is part of the token."""
    blocks: tuple[str, ...] | None = None
    """Years of first registration whose people count, in the order of the public list; None for everybody (rule 8)."""

    @property
    def schema(self) -> CaseSchema:
        """The one schema of all datasets."""
        return self.datasets[0].schema

    def open(self, receipt: Receipt, *, check: Check = lambda: None) -> PersonTable:
        """Open the datasets and return one row per consenting person.

        Args:
            receipt: proof of the charge that pays for this reading.
            check: called per chunk; raises to cancel.

        Raises:
            RolledBackError: the vault is not the one that the anchor knows.
            SchemaDiffersError: a dataset's people cap was declared anew since it was checked.
            DamagedChunkError, SealBrokenError: a chunk is not what was written.
        """
        self.announce(receipt)
        return self.settled(lambda now: now._people(check), check=check)

    def open_records(self, receipt: Receipt, *, at_most: int, check: Check = lambda: None) -> RecordTable:
        """Open the datasets and return the records of consenting persons, of each at most so many.

        Args:
            receipt: proof of the charge that pays for this reading.
            at_most: records of one person.
            check: called per chunk; raises to cancel.

        Raises:
            Whatever `open` raises.
        """
        from casesynth.answers.records import RecordTableBuilder  # the engine's noise is loaded for questions alone

        def counted(now: VaultSnapshot) -> RecordTable:
            builder = RecordTableBuilder(now.datasets[0].domain, at_most=at_most)
            for dataset, rows, permitted in now._rows(check, now.blocks):
                builder.add(now._coded(dataset, rows, permitted), rows.records)
            return builder.build(people_cap=now.people_cap)

        self.announce(receipt)
        return self.settled(counted, check=check)

    def open_by_block(self, receipt: Receipt, *, check: Check = lambda: None) -> PeopleByBlock:
        """Open the datasets once, everybody in them, to count some blocks now and others later; `PeopleByBlock.only` says whose people count.

        Args:
            receipt: proof of the charge that pays for this reading.
            check: called per chunk; raises to cancel.

        Raises:
            Whatever `open` raises.
        """
        self.announce(receipt)
        return self.settled(lambda now: now.read_by_block(check=check), check=check)

    def read_by_block(self, *, check: Check = lambda: None) -> PeopleByBlock:
        """Read everybody at exactly these versions; for whoever announced it, within `settled`.

        Raises:
            SnapshotChangedError: a dataset has another version, or gets one while it is read.
        """
        from casehaven.vault.people_by_block import people_by_block  # for questions alone

        records = [(self._coded(dataset, rows, said), rows.blocks) for dataset, rows, said in self._rows(check, None)]
        return people_by_block(records, self.datasets[0].domain, schema_blocks(self.schema), people_cap=self.people_cap)

    def settled(self, opening: Callable[[VaultSnapshot], Opened], *, check: Check) -> Opened:
        """Run an opening on the datasets as they are now; again where they changed meanwhile, until they did not (rule 4).

        Args:
            opening: takes the snapshot at its present versions, and raises SnapshotChangedError where they are past.
            check: called before each turn; raises to cancel.

        Raises:
            SchemaDiffersError: a dataset's people cap was declared anew since it was checked.
            Whatever else `opening` raises.
        """
        turns = 0
        while True:
            check()
            turns += 1
            with suppress(SnapshotChangedError), nullcontext() if turns <= TURNS else self._undisturbed():
                return opening(self._now())

    def require_present(self) -> None:
        """Return when every dataset has the version of this snapshot.

        Raises:
            SnapshotChangedError: a dataset changed since.
        """
        with self.vault.database.transaction(writes=False) as connection:
            for dataset in self.datasets:
                self._same(connection, dataset)

    def announce(self, receipt: Receipt) -> None:
        """Write the audit log's entries for an opening (rule 6)."""
        if not isinstance(receipt, Receipt):
            raise TypeError("a snapshot opens under a receipt only")
        of = "" if self.blocks is None else f" of people first registered in {registered_words(self.blocks)}"
        with self.vault.database.transaction(writes=False) as connection:
            self.vault.anchor.check(connection)  # before the entry, which raises the anchor to what it finds
        with self.vault.writing() as connection:
            for dataset in self.datasets:
                self.vault.audit.append(
                    connection,
                    action="snapshot.open",
                    object_kind="dataset",
                    object_id=dataset.id,
                    organisation=dataset.organisation,
                    reason=f"{self.purpose}{of}, charge {receipt.charge_id}",
                )

    def open_own(self, *, check: Check = lambda: None) -> PersonTable:
        """Open one organisation's own people for its own statistics (rule 7); the caller writes the audit log's entry.

        Raises:
            PurposeRefusedError: another purpose, or several organisations: that needs a charge.
        """
        if self.purpose != "own_statistics" or len({dataset.organisation for dataset in self.datasets}) != 1:
            raise PurposeRefusedError("without a charge, one organisation's records open for its own statistics alone")
        return self.settled(lambda now: now._people(check), check=check)

    def _now(self) -> VaultSnapshot:
        """Return the same datasets at their present versions."""
        found = []
        for before in self.datasets:
            now = self.vault.dataset(before.organisation, before.name)
            if replace(now, version=before.version) != before:
                raise SchemaDiffersError(f"{before.id} was declared anew since it was checked")
            found.append(before if now.version == before.version else now)
        return replace(self, datasets=tuple(found))

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Hold off changes of the datasets, where whoever makes one now ends soon."""
        with ExitStack() as locks:
            with suppress(VaultBusyError):
                for organisation in sorted({dataset.organisation for dataset in self.datasets}):
                    lock = self.vault.organisation_lock(organisation, alone=True, wait_seconds=_WAIT_SECONDS)
                    locks.enter_context(lock)
            yield

    def _people(self, check: Check) -> PersonTable:
        builder = PersonTableBuilder(self.datasets[0].domain)
        for dataset, rows, permitted in self._rows(check, self.blocks):
            builder.add(self._coded(dataset, rows, permitted))
        return builder.build(people_cap=self.people_cap)

    def _coded(self, dataset: Dataset, rows: ChunkRows, permitted: NDArray[np.int8]) -> CodedTable:
        tokens: pa.Array = rows.tokens
        if self.tokens_are == "separate":
            tokens = _issued(tokens, sorted({d.organisation for d in self.datasets}).index(dataset.organisation))
        return CodedTable(columns=rows.columns, persons=tokens, permitted=permitted)

    def _rows(
        self, check: Check, blocks: Collection[str] | None
    ) -> Iterator[tuple[Dataset, ChunkRows, NDArray[np.int8]]]:
        """Yield the rows of every chunk that may count or refuse, and what each record's person said about the purpose."""
        everybody = schema_blocks(self.schema)
        wanted = None if blocks is None else [everybody.index(block) for block in blocks]
        chunk = models.chunk
        with self.vault.database.transaction(writes=False) as connection:
            remembered = self.vault.anchor.check(connection)
            for dataset in self.datasets:
                self._same(connection, dataset)
            answers = _answers(connection, self.purpose, remembered)
            there = _there(connection)
            chunks: list[tuple[Dataset, Row[Any]]] = []
            for dataset in self.datasets:
                query = select(chunk).where(chunk.c.dataset_id == dataset.dataset_id).order_by(chunk.c.chunk_id)
                chunks += [(dataset, row) for row in connection.execute(query)]
        for dataset, row in chunks:
            check()
            content = self._chunk(dataset, row)
            kept = _among(content.records, there)
            said = answers.of(content.persons)
            if wanted is not None:
                kept &= np.isin(content.blocks, wanted) | (said == -1)
            yield dataset, content if kept.all() else content.only(kept), said[kept]

    def _same(self, connection: Connection, dataset: Dataset) -> None:
        current = select(models.dataset.c.version).where(models.dataset.c.dataset_id == dataset.dataset_id)
        if connection.scalar(current) != dataset.version:
            raise SnapshotChangedError(f"{dataset.id} changed since it was checked")

    def _chunk(self, dataset: Dataset, row: Row[Any]) -> ChunkRows:
        """Open a chunk; when that fails because somebody was erased, or keys were rotated, meanwhile, say so."""
        try:
            return self.vault.read_chunk(dataset, self.vault.keys_of(dataset), row)
        except (DamagedChunkError, EpochError):
            with self.vault.database.transaction(writes=False) as connection:
                self._same(connection, dataset)
                query = select(models.chunk).where(models.chunk.c.chunk_id == row.chunk_id)
                if connection.execute(query).first() != row:
                    raise SnapshotChangedError(
                        f"the keys of {dataset.organisation} changed while it was read"
                    ) from None
            raise


@dataclass(frozen=True, kw_only=True)
class _Answers:
    """What persons said: 1 yes, -1 refused, 0 nothing."""

    persons: NDArray[np.int64]
    """In growing order."""
    said: NDArray[np.int8]

    def of(self, persons: NDArray[np.int64]) -> NDArray[np.int8]:
        """Return what each of these persons said."""
        if not len(self.persons):
            return np.zeros(len(persons), np.int8)
        place = np.minimum(np.searchsorted(self.persons, persons), len(self.persons) - 1)
        found: NDArray[np.int8] = np.where(self.persons[place] == persons, self.said[place], 0).astype(np.int8)
        return found


def snapshot(
    vault: Vault,
    datasets: Sequence[Dataset],
    purpose: Purpose,
    *,
    people_cap: int | None = None,
    tokens_are: Tokens = "separate",
    blocks: Collection[str] | None = None,
) -> VaultSnapshot:
    """Return a snapshot that a release or a table may open.

    Args:
        vault: where they are.
        datasets: at least one, all under the same schema.
        purpose: what the records are to be used for.
        people_cap: public bound on the number of people in all of them together; by default the sum of their own.
        tokens_are: whether equal tokens of two organisations are one person.
        blocks: years of first registration, `""` for unknown, whose people count; None for everybody.

    Raises:
        UnknownBlockError: a block is not the schema's, or none is named.
        SchemaDiffersError: the datasets have different schemas, or none were named.
        PeopleCapError: people_cap is below the sum of the datasets' own; nothing was read.
    """
    if len({dataset.schema.digest() for dataset in datasets}) != 1:
        raise SchemaDiffersError("a snapshot takes datasets of one schema, and one at least")
    declared = sum(dataset.people_cap for dataset in datasets)
    if people_cap is not None and people_cap < declared:
        raise PeopleCapError(
            f"people_cap {people_cap} is below {declared}, the sum of the datasets' own people caps; a dataset may hold that many"
        )
    return VaultSnapshot(
        vault=vault,
        datasets=tuple(datasets),
        purpose=purpose,
        people_cap=declared if people_cap is None else people_cap,
        tokens_are=tokens_are,
        blocks=None if blocks is None else parse_blocks(datasets[0].schema, blocks),
    )


def _answers(connection: Connection, purpose: Purpose, remembered: AnchorState) -> _Answers:
    """Return everyone's latest answer; of those whose retention is over a refusal at most, of those who were erased nothing."""
    consent, person = models.consent.c, models.person.c
    said = _numbers(
        connection, select(consent.person_id, consent.version, consent.given).where(consent.purpose == purpose), 3
    )
    over = _numbers(connection, select(person.person_id).where(person.retain_until < datetime.now(UTC).date()), 1)
    said = said[np.lexsort((said[:, 1], said[:, 0]))]
    last = np.append(said[1:, 0] != said[:-1, 0], True) if len(said) else np.zeros(0, bool)
    persons, given = said[last, 0], said[last, 2] == 1
    latest = np.where(given, 1, -1).astype(np.int8)
    latest[given & np.isin(persons, over)] = 0
    refused = _sorted(number for number, of in remembered.withdrawn if of == purpose)
    latest[np.isin(persons, refused)] = -1
    unheard = refused[~np.isin(refused, persons)]  # the anchor knows of a refusal, the database of no answer
    persons, latest = np.append(persons, unheard), np.append(latest, np.full(len(unheard), -1, np.int8))
    kept = ~np.isin(persons, _sorted(remembered.erased))
    persons, latest = persons[kept], latest[kept]
    order = np.argsort(persons)
    return _Answers(persons=persons[order], said=latest[order])


def _there(connection: Connection) -> NDArray[np.int64]:
    """Return every record that counts and whose person is there, in growing order."""
    record, person = models.record.c, models.person.c
    pairs = _numbers(connection, select(record.person_id, record.record_id), 2)  # from an index: no sealed cell is read
    people = np.sort(_numbers(connection, select(person.person_id), 1)[:, 0])
    corrected = _numbers(connection, select(record.record_id).where(record.superseded_by.is_not(None)), 1)[:, 0]
    records = pairs[_among(pairs[:, 0], people), 1]
    return np.sort(records[~np.isin(records, corrected)] if len(corrected) else records)


def _among(numbers: NDArray[np.int64], ordered: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say which numbers are among others, which are in growing order."""
    if not len(ordered):
        return np.zeros(len(numbers), bool)
    place = np.minimum(np.searchsorted(ordered, numbers), len(ordered) - 1)
    found: NDArray[np.bool_] = ordered[place] == numbers
    return found


def _sorted(numbers: Iterable[int]) -> NDArray[np.int64]:
    return np.array(sorted(numbers), np.int64)


def _numbers(connection: Connection, query: Select[Any], columns: int) -> NDArray[np.int64]:
    """Return a result of whole numbers as an array, without an object for each row."""
    result: Any = connection.execute(query)
    return np.fromiter(chain.from_iterable(result.cursor.fetchall()), np.int64).reshape(-1, columns)


def _issued(tokens: pa.Array, issuer: int) -> pa.Array:
    """Put a number that stands for the organisation before each token."""
    flat = np.frombuffer(tokens.buffers()[1], np.uint8)[tokens.offset * TOKEN_BYTES :][: len(tokens) * TOKEN_BYTES]
    wide = np.empty((len(tokens), _ISSUER_BYTES + TOKEN_BYTES), np.uint8)
    wide[:, :_ISSUER_BYTES] = np.frombuffer(issuer.to_bytes(_ISSUER_BYTES, "big"), np.uint8)
    wide[:, _ISSUER_BYTES:] = flat.reshape(-1, TOKEN_BYTES)
    kind = pa.binary(_ISSUER_BYTES + TOKEN_BYTES)
    return pa.Array.from_buffers(kind, len(tokens), [None, pa.py_buffer(wide.tobytes())])
