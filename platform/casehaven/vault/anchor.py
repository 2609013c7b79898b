"""The anchor: one small signed file on other storage that remembers what a backup forgets (privacy rule 20).

1. It holds the head of the audit log and the roots of its last periods, the version and the digest of the chunk files of every dataset, every person who was
   erased, every consent that was withdrawn, every dataset that was released without differential privacy, how far the keystore is, and the ledger's ceiling (none until the ledger is in the vault).
2. It only rises: versions and positions never fall, erased people, withdrawals and unbounded datasets never leave it.
3. A vault that is older than its anchor, or that tells another story than its anchor, does not open: somebody put an earlier copy back.
   `casehaven restore` is the way to take an earlier copy into use, and it does again what the anchor remembers.
4. An erasure stands in the anchor before it begins. If it is cut short, opening the vault finishes it.
5. Its content is sealed, padded and signed with keys of the keystore. Whoever finds it learns which vault it is for and when it was last written.
6. It is written whole or not at all, by one process at a time.
7. The two lists, which grow with the vault, are sealed apart from the rest. An entry of the audit log leaves them as they are: they are neither opened nor
   sealed again, and the rest names their SHA-256.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from sqlalchemy import Connection, func, select

from casehaven.core.audit import first_chain
from casehaven.core.audit_checkpoint import LogSettings
from casehaven.core.audit_models import audit
from casehaven.vault.anchor_state import (
    AnchorState,
    chunk_sets,
    erased_of,
    ledgers_of,
    lists_bytes,
    padded,
    parse_lists,
    parse_state,
    state_document,
    state_of,
    unbounded_of,
    withdrawn_of,
)
from casehaven.vault.context import SealContext
from casehaven.vault.errors import (
    AnchorExistsError,
    AnchorMissingError,
    BrokenAnchorError,
    RolledBackError,
    SealBrokenError,
)
from casehaven.vault.keystore import Keystore
from casehaven.vault.locks import held
from casehaven.vault.models import person
from casehaven.vault.sealed import seal, unseal
from casesynth._files import FileTooLargeError, NotRegularFileError, read_regular, write_whole
from casesynth.canonical import JsonFaultError, canonical_json, parse_json

ANCHOR_FORMAT = "casehaven-anchor/1"

_KEY = b"casehaven-anchor-key/1"
_SIGNED = b"casehaven-anchor/1\n"
_LIMIT = 1 << 28
_AT_ONCE = 500


class Anchor:
    """The anchor file of one vault."""

    def __init__(self, path: Path, keystore: Keystore, vault_id: str) -> None:
        self.path = path
        """The file."""
        self._keystore = keystore
        self._vault_id = vault_id

    @classmethod
    def create(cls, path: Path, keystore: Keystore, vault_id: str, connection: Connection) -> Anchor:
        """Write the first anchor of a vault, or a new one where it was lost, from what the database knows.

        Raises:
            AnchorExistsError: a file is there already.
            AnchorMissingError: it cannot be written.
        """
        anchor = cls(path, keystore, vault_id)
        state = replace(
            anchor._present(connection),
            sequence=1,
            erased=erased_of(connection),
            withdrawn=withdrawn_of(connection),
            unbounded=unbounded_of(connection),
            ledgers=ledgers_of(connection),
        )
        anchor._write(state, anchor._sealed_lists(state), replace_file=False)
        return anchor

    def read(self) -> AnchorState:
        """Read and verify what the anchor remembers.

        Raises:
            AnchorMissingError: the file is not there.
            BrokenAnchorError: it is not this vault's, or was changed.
        """
        return self._opened(*self._read_file())

    def _read_file(self) -> tuple[AnchorState, bytes]:
        """Read and verify everything, and open all but the lists: the state without them, and the lists as they are sealed."""
        where = f"the anchor {self.path}"
        try:
            data = read_regular(self.path, limit=_LIMIT, follow=True)
        except FileNotFoundError:
            raise AnchorMissingError(f"there is no anchor at {self.path}") from None
        except OSError as error:
            raise AnchorMissingError(f"{where} cannot be read: {error.strerror}") from None
        except (NotRegularFileError, FileTooLargeError) as error:
            raise BrokenAnchorError(
                f"{where} is not a regular file of the right size ({type(error).__name__})"
            ) from None
        try:
            outer = parse_json(data, self.path.name)
        except JsonFaultError:
            raise BrokenAnchorError(f"{where} is not a file that Casehaven wrote") from None
        if not isinstance(outer, dict) or set(outer) - {"lists"} != {"format", "vault_id", "body", "signature"}:
            raise BrokenAnchorError(f"{where} does not have the fields of an anchor")
        if outer["format"] != ANCHOR_FORMAT:
            raise BrokenAnchorError(f"{where} has another format than {ANCHOR_FORMAT}")
        if outer["vault_id"] != self._vault_id:
            raise BrokenAnchorError(f"{where} is the anchor of another vault")
        try:
            body, lists, signature = (_decoded(outer.get(name, "")) for name in ("body", "lists", "signature"))
            self._keystore.signing_key().public_key().verify(signature, self._message(body))
            state, lists_sha256 = parse_state(unseal(self._key(), body, self._context()))
        except (ValueError, InvalidSignature, SealBrokenError):
            raise BrokenAnchorError(f"{where} was changed, or belongs to another keystore") from None
        if (hashlib.sha256(lists).digest() if lists else b"") != lists_sha256:
            raise BrokenAnchorError(f"{where} was changed: its lists are others")
        return state, lists

    def _opened(self, state: AnchorState, lists: bytes) -> AnchorState:
        """Return a state with its lists."""
        if not lists:  # written before they were apart
            return state
        try:
            erased, withdrawn = parse_lists(unseal(self._key(), lists, self._context("lists")))
        except SealBrokenError:
            raise BrokenAnchorError(f"the lists of the anchor {self.path} do not open") from None
        return replace(state, erased=erased, withdrawn=withdrawn)

    def raise_from(self, connection: Connection) -> None:
        """Bring the anchor up to what the database has committed; writes nothing when it is there already.

        Raises:
            RolledBackError: the database tells another story (rule 3).
            AnchorMissingError: it cannot be read or written; the database has what was committed all the same.
        """
        present = self._present(connection)

        def risen(state: AnchorState) -> AnchorState:
            erased = erased_of(connection) if present.erasures_seen > state.erasures_seen else frozenset()
            return state.raised(replace(present, erased=erased))

        try:
            self._change(risen, lists=lambda state: present.erasures_seen > state.erasures_seen)
        except AnchorMissingError as error:
            raise AnchorMissingError(
                f"it is in the vault, and the anchor is not raised to it: {error}; bring the anchor's storage back, the next command raises it"
            ) from None

    def rebase(self, connection: Connection) -> None:
        """Take over a restored database that has gone on from this anchor; erasures and withdrawals stay (rule 2).

        Raises:
            RolledBackError: it has not gone on from here.
        """
        present = replace(self._present(connection), erased=erased_of(connection))

        def rebased(state: AnchorState) -> AnchorState:
            raised = state.raised(present)
            if raised.head != present.head:
                raise RolledBackError("the restored audit log does not go on from the anchor")
            return replace(
                raised,
                datasets=present.datasets,
                chunks=present.chunks,
                erasures_seen=present.erasures_seen,
                keystore_sequence=present.keystore_sequence,
            )

        self._change(rebased)

    def copy_to(self, path: Path) -> None:
        """Write the anchor once more, elsewhere; the caller says from then on where it is.

        Raises:
            AnchorExistsError: a file is there.
            AnchorMissingError: it cannot be written.
        """
        with held(self._lock, alone=True, what="the anchor"):
            state, lists = self._read_file()
            if not lists:
                lists = self._sealed_lists(state)
            Anchor(path, self._keystore, self._vault_id)._write(state, lists, replace_file=False)

    def add_erasures(self, *persons: int) -> None:
        """Remember that people are erased, before it begins (rule 4)."""
        self._change(lambda state: replace(state, erased=state.erased | {*persons}))

    def add_withdrawals(self, *consents: tuple[int, str]) -> None:
        """Remember refused or withdrawn consents, each as person and purpose, before they are written."""
        self._change(lambda state: replace(state, withdrawn=state.withdrawn | {*consents}))

    def add_unbounded(self, dataset: str, day: str) -> None:
        """Remember that a dataset is released without differential privacy, before it is opened; the first day stays."""
        self._change(
            lambda state: replace(state, unbounded={dataset: day, **state.unbounded}), lists=lambda state: False
        )

    def add_ledgers(self, ledgers: Mapping[str, str]) -> None:
        """Remember which ledger holds the accounts of datasets; the first one stays."""
        self._change(lambda state: replace(state, ledgers={**ledgers, **state.ledgers}), lists=lambda state: False)

    def remove_withdrawals(self, *consents: tuple[int, str]) -> None:
        """Forget withdrawals whose person gave consent again, after that is written."""
        self._change(lambda state: replace(state, withdrawn=state.withdrawn - {*consents}))

    def check(self, connection: Connection) -> AnchorState:
        """Refuse a database that is older than the anchor, or that is another one (rule 3); return what the anchor remembers.

        Args:
            connection: a transaction that reads, and has not read yet: what it sees must not be older than the anchor.

        Raises:
            RolledBackError: says what is behind.
            AnchorMissingError: there is no anchor to compare with.
        """
        state = self.read()
        if self._keystore.sequence < state.keystore_sequence:
            raise RolledBackError(f"the keystore is older than the anchor {self.path} says")
        log = LogSettings.read(connection)
        chain: bytes | None = first_chain(log.origin)
        if state.head.positions:
            chain = connection.scalar(select(audit.c.chain).where(audit.c.position == state.head.positions - 1))
        if chain is None:
            raise RolledBackError(
                f"the vault is older than its anchor {self.path}: entries of the audit log are missing"
            )
        if bytes(chain) != state.head.chain:
            raise RolledBackError(f"the audit log is not the one that the anchor {self.path} knows")
        found = chunk_sets(connection)
        for name, version in state.datasets.items():
            if name not in found or found[name].version < version:
                raise RolledBackError(f"dataset {name} is older than the anchor {self.path} says")
            if found[name].version == version and found[name].digest != state.chunks.get(name, found[name].digest):
                raise RolledBackError(
                    f"the chunk files of dataset {name} are not those that the anchor {self.path} knows"
                )
        ends = connection.scalar(select(func.max(audit.c.position)))
        if ends is None or ends < state.head.positions:  # nothing happened since, so nothing is further
            for name, one in found.items():
                if one.version != state.datasets.get(name):
                    raise RolledBackError(f"dataset {name} has a version that no entry of the audit log tells of")
        return state

    def unfinished_erasures(self, connection: Connection) -> tuple[int, ...]:
        """Return people whose erasure began, and who are still in the database (rule 4)."""
        erased, found = sorted(self.read().erased), list[int]()
        for start in range(0, len(erased), _AT_ONCE):
            some = erased[start : start + _AT_ONCE]
            found += connection.scalars(select(person.c.person_id).where(person.c.person_id.in_(some)))
        return tuple(found)

    def _present(self, connection: Connection) -> AnchorState:
        return replace(state_of(connection), keystore_sequence=self._keystore.sequence)

    def _change(
        self,
        change: Callable[[AnchorState], AnchorState],
        *,
        lists: Callable[[AnchorState], bool] = lambda _: True,
    ) -> None:
        """Read, change and write, alone (rule 6). The change sees the lists, and may change them, only if `lists` says so (rule 7)."""
        if not self.path.is_file():
            raise AnchorMissingError(f"there is no anchor at {self.path}")
        try:
            with held(self._lock, alone=True, what="the anchor"):
                state, sealed = self._read_file()
                if lists(state):
                    state = self._opened(state, sealed)
                changed = change(state)
                if not sealed or changed.erased != state.erased or changed.withdrawn != state.withdrawn:
                    sealed = self._sealed_lists(changed)
                if changed != state:
                    self._write(replace(changed, sequence=state.sequence + 1), sealed, replace_file=True)
        except OSError as error:
            raise AnchorMissingError(f"the anchor {self.path} cannot be written: {error.strerror}") from None

    def _sealed_lists(self, state: AnchorState) -> bytes:
        return seal(self._key(), padded(lists_bytes(state)), self._context("lists"))

    def _write(self, state: AnchorState, lists: bytes, *, replace_file: bool) -> None:
        body = seal(self._key(), padded(state_document(state, hashlib.sha256(lists).digest())), self._context())
        signature = self._keystore.signing_key().sign(self._message(body))
        data = canonical_json(
            {
                "format": ANCHOR_FORMAT,
                "vault_id": self._vault_id,
                "body": base64.b64encode(body).decode("ascii"),
                "lists": base64.b64encode(lists).decode("ascii"),
                "signature": base64.b64encode(signature).decode("ascii"),
            }
        )
        try:
            write_whole(self.path, data, mode=0o600, replace=replace_file)
        except FileExistsError:
            raise AnchorExistsError(f"{self.path} exists already") from None
        except OSError as error:
            raise AnchorMissingError(f"the anchor {self.path} cannot be written: {error.strerror}") from None

    @property
    def _lock(self) -> Path:
        return self.path.with_name(f".{self.path.name}.lock")

    def _key(self) -> bytes:
        return hmac.digest(self._keystore.audit_key(), _KEY, "sha256")

    def _context(self, part: str = "") -> SealContext:
        return SealContext(kind="detail", organisation="", object_id=f"anchor {self._vault_id} {part}".rstrip())

    def _message(self, body: bytes) -> bytes:
        name = self._vault_id.encode("utf-8")
        return _SIGNED + len(name).to_bytes(8, "big") + name + body


def _decoded(text: object) -> bytes:
    """Read base64 that is written in one way only."""
    data = base64.b64decode(str(text), validate=True)
    if base64.b64encode(data).decode("ascii") != text:
        raise binascii.Error("not the canonical base64")
    return data
