"""A ledger with its anchor: what stands around every step that spends or shows (privacy rule 20).

1. A step that spends runs on a ledger that is not behind its anchor, and is acknowledged when its end is on disk in the anchor, too.
2. An answer is shown when the anchor knows the step that revealed it; until then a copy of before it could draw again.
3. Whoever writes a step into the anchor holds it, and asks the ledger again where it is: it may have been moved while the step was committed. Whoever moves it
   holds the former one until it is gone, and writes into the new one all that the ledger knows, confirmed or not. No step is acknowledged at a place that the ledger no longer names.
4. The anchor is made once, moved, and resumed from. A ledger of before version 3 gets its first one, and a mark beside it, so that a copy of before that does not get another first one.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal, TypeVar

from sqlalchemy import Connection

from casehaven.ledger import models
from casehaven.ledger._store import Store
from casehaven.ledger.anchor import LedgerAnchor
from casehaven.ledger.anchored import stored_state
from casehaven.ledger.anchoring import (
    Footing,
    leave_mark,
    move_anchor,
    refuse_second_first,
    stored_anchor,
    stored_place,
)
from casehaven.ledger.ceilings import check_not_behind, confirm, is_confirmed, resume
from casehaven.ledger.chain import head
from casehaven.ledger.clock import now
from casehaven.ledger.errors import LedgerAnchorMissingError
from casehaven.ledger.statement import stored_statement

Step = Literal[
    "open.written",
    "open.committed",
    "charge.begun",
    "charge.written",
    "charge.committed",
    "draw.written",
    "draw.committed",
    "writing.written",
    "writing.committed",
    "withdraw.written",
    "withdraw.committed",
    "reveal.written",
    "reveal.committed",
    "ceiling.raised",
    "anchor.due",
    "anchor.begun",
    "answer.written",
    "answer.committed",
    "resume.written",
    "resume.committed",
]
"""The moments at which a test may end the process, to show that the ledger survives it."""


def no_failpoint(step: Step) -> None:
    """The failpoint of every ledger that is not under test."""


Found = TypeVar("Found")
"""What is read of stored answers."""


class KeptLedger:
    """A ledger and its anchor."""

    def __init__(self, store: Store, failpoint: Callable[[Step], None], clock: Callable[[], str] = now) -> None:
        self._store = store
        self._failpoint = failpoint
        self._clock = clock
        self._footing: Footing | None = None

    @property
    def path(self) -> Path:
        """The file; of a ledger on a server, its anchor: what stands for it on this machine."""
        return self._store.path or self.anchor_path or Path(models.SCHEMA)

    @property
    def file(self) -> Path | None:
        """The file; None for a ledger on a server."""
        return self._store.path

    @property
    def where(self) -> str:
        """The file, or the server without a password."""
        return self._store.where

    @property
    def anchor_path(self) -> Path | None:
        """The anchor file; None for a ledger of an earlier version that has none yet."""
        with self._store.transaction(writes=False) as connection:
            return stored_place(connection, self._store.path)

    def close(self) -> None:
        """Close the connections that were kept; the next call opens them again."""
        self._store.close()

    def check_anchor(self) -> None:
        """Return when the ledger may spend as far as its anchor is concerned.

        Raises:
            LedgerAnchorMissingError, BrokenLedgerAnchorError, LedgerBehindAnchorError: it may not.
        """
        with self._store.transaction(writes=False) as connection:
            anchor = self._anchor(connection)

        def check(connection: Connection, anchor: LedgerAnchor) -> None:
            check_not_behind(connection, anchor)

        self._at_anchor(anchor, check)

    def set_anchor(self, place: Path, *, first: str | None = None) -> None:
        """Move the anchor to another place, say where it was moved to, or give a ledger of an earlier version its first one.

        Args:
            place: of the anchor file.
            first: the ledger's id, where its keeper asks for a first anchor. Nobody can tell that the ledger is not an earlier copy of one that has an anchor
                and spent since, so this is asked for by name, and the statements say since when the ledger is anchored, for good.

        Raises:
            LedgerExistsError: another file is there, or this is a copy of before the ledger had its first anchor.
            LedgerAnchorMissingError, BrokenLedgerAnchorError: the present anchor cannot be read, the file at the place is another ledger's, or a first anchor
                was not asked for by the ledger's id.
        """
        with ExitStack() as held:  # the former one is held until it is gone (rule 3)
            old = self._place_anchor(place, first, held)
            leave_mark(self._store.path)
            if old is not None and old.path.exists() and not os.path.samefile(old.path, place):
                old.remove()

    def _place_anchor(self, place: Path, first: str | None, held: ExitStack) -> LedgerAnchor | None:
        """Make or move the anchor; return the one that was there, held by `held` where it is there still."""
        with self._store.transaction(writes=True) as connection:
            known = stored_place(connection, self._store.path)
            if known is None:
                refuse_second_first(self._store.path)
                ledger_id = stored_statement(connection).ledger_id
                if first != ledger_id:
                    raise LedgerAnchorMissingError(
                        f"{self.where} was made by an earlier version and has no anchor; where it is no earlier copy of a ledger that got one since, "
                        f"ask for its first one by its id, {ledger_id}"
                    )
                secret = secrets.token_hex(32)
                fresh = LedgerAnchor(place, ledger_id, secret)
                fresh.create(stored_state(connection), head(connection))
                move_anchor(connection, self._store.path, place, (secret, self._clock()))
                return None
            old = self._anchor(connection)
            moved = old.at(place)
            if (
                place.exists() and not known.exists()
            ):  # somebody moved the file; every step sees by itself whether the ledger is behind it
                moved.end()
                moved.state()
            else:
                held.enter_context(old.alone())
                last = check_not_behind(connection, old)
                moved.create(old.state().raised(stored_state(connection)), last)
            move_anchor(connection, self._store.path, place, None)
        return old

    def resume(self) -> bool:
        """Take an earlier copy into use: count everything up to the anchored ceilings as spent (privacy rule 20).

        Returns:
            Whether there was anything to resume.

        Raises:
            LedgerAnchorMissingError, BrokenLedgerAnchorError: there is no ceiling to resume from.
        """
        with self._store.transaction(writes=True) as connection:
            anchor = self._anchor(connection)
            resumed = resume(connection, anchor, self._clock())
            last, state = head(connection), stored_state(connection)
            self._failpoint("resume.written")
        self._failpoint("resume.committed")

        def write(_: Connection, anchor: LedgerAnchor) -> None:
            anchor.renew(state)
            anchor.write_end(last)

        if resumed:
            self._at_anchor(anchor, write)
        return resumed

    def _anchor(self, connection: Connection) -> LedgerAnchor:
        return stored_anchor(connection, self._store.path)

    @contextmanager
    def _spending(self, *steps: Step) -> Iterator[tuple[Connection, LedgerAnchor]]:
        """Run a transaction of a ledger that is not behind its anchor; the new end is in the anchor, on disk, when this ends."""
        with self._store.transaction(writes=True) as connection:
            anchor = self._anchor(connection)
            check_not_behind(connection, anchor)
            yield connection, anchor
            for step in steps[:1]:
                self._failpoint(step)
        self._confirm(anchor)
        for step in steps[1:]:
            self._failpoint(step)

    def _confirm(self, anchor: LedgerAnchor) -> None:
        """Bring the anchor to the present end of the chain."""

        def write(connection: Connection, anchor: LedgerAnchor) -> None:
            self._failpoint("anchor.begun")
            confirm(connection, anchor)

        self._failpoint("anchor.due")
        self._at_anchor(anchor, write)

    def _at_anchor(self, anchor: LedgerAnchor, work: Callable[[Connection, LedgerAnchor], None]) -> None:
        """Do something while the anchor is held, at the place where the ledger has it by then (rule 3).

        Args:
            anchor: as it was before it was held.
            work: gets what is committed, and the anchor.

        Raises:
            LedgerAnchorMissingError: there is none where the ledger has it.
        """
        while True:
            try:
                with anchor.alone(), self._store.transaction(writes=False) as connection:
                    present = self._anchor(connection)
                    if present.path == anchor.path:
                        return work(connection, anchor)
            except LedgerAnchorMissingError:
                with self._store.transaction(writes=False) as connection:
                    present = self._anchor(connection)
                if present.path == anchor.path:
                    raise
            anchor = present

    def _showing(self, read: Callable[[Connection], Found]) -> Found:
        """Return stored answers once the anchor knows all that the ledger knows (rule 2); none are returned without it."""
        with self._store.transaction(writes=False) as connection:
            found = read(connection)
            if not found:
                return found
            anchor = self._anchor(connection)
            known = is_confirmed(connection, anchor)
        if not known:
            self._confirm(anchor)
        return found
