"""The ledger's anchor: one small file on other storage, so that an earlier copy of the ledger cannot spend again (privacy rule 20).

1. The *ceilings* are in it: up to where each account may have spent, in sixteenths of its cap. They are raised in it, on disk, before the ledger spends
   beyond them. What a resumption needs is with them: policies, raises, marks.
2. The *end* of the ledger's chain of entries is in it. It is on disk there before a draw, a result or a decision is acknowledged; so a ledger
   whose chain does not contain that end is an earlier copy, or went another way, and spends nothing.
3. It is authenticated (HMAC-SHA256) with a secret that the ledger holds: whoever keeps the other storage can lose it or put an earlier one back, but
   cannot write another. An earlier anchor beside today's ledger loosens nothing that the ledger allows, and the next draw brings it up to date, ceilings,
   marks and raises too; an earlier anchor together with an earlier ledger is not noticed, which is why it belongs on other storage.
4. Ceilings never fall. The file is written whole or not at all; the end is written in place, in one of two slots in turn, so that one of them is always whole.
5. It holds dataset ids, years and amounts in sixteenths, and no count of people.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hmac
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from casehaven.ledger.anchored import AnchoredState
from casehaven.ledger.chain import Head
from casehaven.ledger.errors import BrokenLedgerAnchorError, LedgerAnchorMissingError, LedgerExistsError
from casesynth._files import write_whole
from casesynth.canonical import JsonFaultError, canonical_json, parse_json

ANCHOR_FORMAT = "casehaven-ledger-anchor/1"

_SLOT = 512
_SLOTS = 2
_LIMIT = 1 << 26
_END_CONTEXT = b"casehaven-ledger-anchor-end/1\n"
_STATE_CONTEXT = b"casehaven-ledger-anchor-state/1\n"


class LedgerAnchor:
    """The anchor file of one ledger."""

    def __init__(self, path: Path, ledger_id: str, secret: str) -> None:
        self.path = path
        """The file."""
        self._ledger_id = ledger_id
        self._secret = bytes.fromhex(secret)

    def at(self, place: Path) -> LedgerAnchor:
        """The same anchor at another place."""
        return LedgerAnchor(place, self._ledger_id, self._secret.hex())

    def create(self, state: AnchoredState, end: Head) -> None:
        """Write the first anchor.

        Raises:
            LedgerExistsError: a file is there: a ledger was here, and spending is not forgotten by starting over.
            LedgerAnchorMissingError: it cannot be written.
        """
        self._write(state, end, replace=False)

    def end(self) -> Head:
        """Return the furthest end of the chain that the anchor remembers.

        Raises:
            LedgerAnchorMissingError: there is no anchor.
            BrokenLedgerAnchorError: it is not this ledger's, or was changed.
        """
        return self._end(self._read(_SLOT * _SLOTS))

    def state(self) -> AnchoredState:
        """Return the ceilings and what belongs to them.

        Raises:
            LedgerAnchorMissingError, BrokenLedgerAnchorError: as for `end`.
        """
        data = self._read(_LIMIT)[_SLOT * _SLOTS :]
        try:
            outer = parse_json(data, self.path.name)
            if not isinstance(outer, dict) or set(outer) != {"format", "ledger", "state", "mac"}:
                raise self._broken("does not have the fields of an anchor")
            body = base64.b64decode(str(outer["state"]).encode("ascii"), validate=True)
        except (JsonFaultError, UnicodeEncodeError, binascii.Error):
            raise self._broken("is not a file that Casehaven wrote") from None
        if outer["format"] != ANCHOR_FORMAT:
            raise self._broken(f"has another format than {ANCHOR_FORMAT}")
        if outer["ledger"] != self._ledger_id:
            raise self._broken("is the anchor of another ledger")
        if not hmac.compare_digest(self._mac(_STATE_CONTEXT, body), str(outer["mac"])):
            raise self._broken("was changed")
        return AnchoredState.parse(body)

    def raise_state(self, state: AnchoredState) -> AnchoredState:
        """Raise the anchor to a state, on disk before this returns; the end stays.

        Returns:
            What stands in it now: what was there already never falls.
        """
        with self.alone():
            return self.renew(state)

    def renew(self, state: AnchoredState) -> AnchoredState:
        """The same for a caller that holds `alone`; the file is written where it does not know all of the state."""
        known = self.state()
        merged = known.raised(state)
        if merged.to_bytes() != known.to_bytes():
            self._write(merged, self.end(), replace=True)
        return merged

    def write_end(self, end: Head) -> None:
        """Write a further end, on disk before this returns; the caller holds `alone`, and has seen that it follows from the one that is there."""
        slots = self._read(_SLOT * _SLOTS)
        known = [self._slot(slots[at * _SLOT : (at + 1) * _SLOT]) for at in range(_SLOTS)]
        older = min(range(_SLOTS), key=lambda at: -1 if (found := known[at]) is None else found.position)
        try:
            file = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.pwrite(file, self._slot_bytes(end), older * _SLOT)
                os.fdatasync(file)
            finally:
                os.close(file)
        except OSError as error:
            raise self._missing(f"cannot be written: {error.strerror}") from None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the anchor: one process changes it at a time."""
        if not self.path.is_file():
            raise LedgerAnchorMissingError(f"there is no anchor at {self.path}")
        try:
            file = os.open(self.path.with_name(f"{self.path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._missing(f"cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    def remove(self) -> None:
        """Remove the file, after another one took its place; the caller holds `alone`."""
        self.path.unlink()

    def _end(self, slots: bytes) -> Head:
        said = [slots[at * _SLOT : (at + 1) * _SLOT] for at in range(_SLOTS)]
        for data in sorted(
            said, key=_said_position, reverse=True
        ):  # the further one first: the other is not verified for nothing
            if (end := self._slot(data)) is not None:
                return end
        raise self._broken("was changed, or is the anchor of another ledger")

    def _slot(self, data: bytes) -> Head | None:
        """Return the end in a slot; None where the slot is not whole."""
        try:
            position, chain, mac = data.rstrip(b" \n").decode("ascii").split(" ")
            expected = self._mac(_END_CONTEXT, f"{position} {chain}".encode("ascii"))
            if hmac.compare_digest(mac, expected):
                return Head(position=int(position), chain=chain)
        except ValueError:
            pass
        return None

    def _slot_bytes(self, end: Head) -> bytes:
        said = f"{end.position} {end.chain}"
        return f"{said} {self._mac(_END_CONTEXT, said.encode('ascii'))}\n".encode("ascii").ljust(_SLOT, b" ")

    def _write(self, state: AnchoredState, end: Head, *, replace: bool) -> None:
        body = state.to_bytes()
        document = {
            "format": ANCHOR_FORMAT,
            "ledger": self._ledger_id,
            "state": base64.b64encode(body).decode("ascii"),
            "mac": self._mac(_STATE_CONTEXT, body),
        }
        data = self._slot_bytes(end) * _SLOTS + canonical_json(document)
        try:
            write_whole(self.path, data, mode=0o600, replace=replace)
        except FileExistsError:
            raise LedgerExistsError(
                f"there is a ledger's anchor at {self.path} already: a ledger was here, and what it spent is not forgotten by starting over"
            ) from None
        except OSError as error:
            raise self._missing(f"cannot be written: {error.strerror}") from None

    def _read(self, limit: int) -> bytes:
        try:
            file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return _read_whole(file, limit)
            finally:
                os.close(file)
        except FileNotFoundError:
            raise LedgerAnchorMissingError(f"there is no anchor at {self.path}") from None
        except OSError as error:
            raise self._missing(f"cannot be read: {error.strerror}") from None

    def _mac(self, context: bytes, data: bytes) -> str:
        name = self._ledger_id.encode("ascii")
        return hmac.digest(self._secret, context + len(name).to_bytes(8, "big") + name + data, "sha256").hex()

    def _missing(self, why: str) -> LedgerAnchorMissingError:
        return LedgerAnchorMissingError(f"the anchor {self.path} {why}")

    def _broken(self, why: str) -> BrokenLedgerAnchorError:
        return BrokenLedgerAnchorError(f"the anchor {self.path} {why}")


def _read_whole(file: int, limit: int) -> bytes:
    """Read a file from its beginning, up to a limit in bytes."""
    data = os.read(file, limit)
    while len(data) < limit and (more := os.read(file, limit - len(data))):
        data += more
    return data


def _said_position(slot: bytes) -> int:
    """The position that a slot claims, unverified; -1 where it claims none."""
    said = slot.partition(b" ")[0]
    return int(said) if said.isdigit() and len(said) < 20 else -1
