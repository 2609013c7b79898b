"""The keystore: every key of a vault but the root key, wrapped.

    root key (elsewhere)
      ├ keys of the vault: linkage, audit, signing, document
      └ organisation key, one per organisation
          ├ index secret, key pairs for uploads
          └ epoch key, one per month
              └ data keys (DEK): one per person, one per chunk file; they stand in the database

1. Rotation re-wraps keys one level down and leaves data alone: the root key's re-wraps the organisation keys, an organisation key's re-wraps
   what hangs below it, a new epoch re-wraps the organisation's data keys. Each is one replacement of one file, so a kill leaves a keystore
   that opens: with the old root key before it, with the new one after it, never with neither.
2. Before a rotated keystore takes the old one's place, all of it is opened with the new key. The old root key opens nothing afterwards.
3. Indexes and tokens are keyed with secrets of their own, which rotation re-wraps and does not change.
4. An epoch is retired when no data key is wrapped under it any more. Then its key is destroyed: old backups of the database stay closed
   (privacy rule 21). An epoch's name is never used again.
5. Another process may change the keystore. Each use of a key looks whether the file is still the one that was read. Wrap a data key inside
   the write transaction that stores it, and retire an epoch only where no transaction can be storing one: else a data key could be wrapped under
   a key that is about to be destroyed.
6. Keys never leave in a `repr` or a message, and this process writes no core dump from the moment it opens a keystore.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from casehaven.vault._hygiene import forbid_core_dumps
from casehaven.vault.context import Kind, SealContext, prefixed
from casehaven.vault.envelope import key_id, new_key_pair, open_with, recipient, seal_to
from casehaven.vault.errors import (
    DamagedKeystoreError,
    EpochError,
    KeystoreError,
    RootKeyError,
    SealBrokenError,
    SealContextError,
    UnknownOrganisationError,
)
from casehaven.vault.keystore_file import (
    EPOCH_NAME,
    FILE,
    ORGANISATION_NAME,
    KeystoreDocument,
    KeystoreFile,
    OrganisationEntry,
    parse_document,
)
from casehaven.vault.rootkeys import RootKey
from casehaven.vault.sealed import KEY_BYTES, new_key, unwrap_key, wrap_key
from casesynth._files import write_whole

__all__ = ["Keystore", "OrganisationKeys", "RecoveredKeys", "epoch_of_month", "seal_to"]

_INDEX_LABEL: Final = prefixed(b"casehaven-vault-index/1")
_DEK_KINDS: Final = ("person-key", "chunk-key")


@dataclass(frozen=True, kw_only=True)
class RecoveredKeys:
    """The keys of one organisation that open its present data: what escrow holds, and nothing more."""

    organisation: str
    """Whose they are."""
    epoch: str
    """The epoch in use when they were put into escrow."""
    epoch_key: bytes = field(repr=False)
    """Opens the data keys of that epoch."""
    index_secret: bytes = field(repr=False)
    """Finds people in the organisation's indexes."""


class OrganisationKeys:
    """The keys of one organisation. Made by `Keystore.organisation`; it looks at the file again before each use."""

    def __init__(self, keystore: Keystore, organisation: str) -> None:
        self._keystore = keystore
        self.organisation = organisation

    def __repr__(self) -> str:
        return f"OrganisationKeys({self.organisation!r})"

    @property
    def epoch(self) -> str:
        """The epoch in use, such as `2026-11` or `2026-11.2`."""
        return next(reversed(self._entry.epochs))

    @property
    def epochs(self) -> tuple[str, ...]:
        """All epochs whose keys are there, oldest first: one, or two while data keys are re-wrapped."""
        return tuple(self._entry.epochs)

    @property
    def version(self) -> int:
        """Version of the organisation key."""
        return self._entry.version

    @property
    def public_key(self) -> bytes:
        """The public key in use for uploads: anybody may `seal_to` it."""
        return next(reversed(self._entry.uploads))

    def wrap_dek(self, dek: bytes, context: SealContext) -> bytes:
        """Wrap a data key under the epoch in use; see rule 5 on when.

        Who stores the epoch beside it and does not hold off rotation takes `wrap_dek_with_epoch`: another epoch may begin between two calls.

        Raises:
            SealContextError: the context is not one of a data key of this organisation.
        """
        return self.wrap_dek_with_epoch(dek, context)[1]

    def wrap_dek_with_epoch(self, dek: bytes, context: SealContext) -> tuple[str, bytes]:
        """Wrap a data key under the epoch in use, and return that epoch with it.

        Raises:
            SealContextError: the context is not one of a data key of this organisation.
        """
        self._check(context, _DEK_KINDS)
        entry = self._entry
        epoch = next(reversed(entry.epochs))
        return epoch, wrap_key(self._keystore._below(self.organisation, entry, "epoch-key", epoch), dek, context)

    def unwrap_dek(self, wrapped: bytes, epoch: str, context: SealContext) -> bytes:
        """Unwrap a data key of an epoch.

        Raises:
            EpochError: the key of this epoch is not there: retired, or never begun.
            SealBrokenError: the data key does not open in this context.
            SealContextError: the context is not one of a data key of this organisation.
        """
        self._check(context, _DEK_KINDS)
        entry = self._entry
        if epoch not in entry.epochs:
            raise EpochError(f"{self.organisation} has no key for the epoch of this data key; it was retired")
        return unwrap_key(self._keystore._below(self.organisation, entry, "epoch-key", epoch), wrapped, context)

    def index_key(self, field: str) -> bytes:
        """32 bytes for keyed hashes of one field; no rotation changes them (rule 3)."""
        secret = self._keystore._below(self.organisation, self._entry, "index-key", "index")
        info = _INDEX_LABEL + prefixed(field.encode())
        return HKDFExpand(algorithm=hashes.SHA512(), length=KEY_BYTES, info=info).derive(secret)

    def seal_upload(self, plaintext: bytes, context: SealContext) -> bytes:
        """Seal an upload to this organisation; the same as `seal_to` its public key.

        Raises:
            SealContextError: the context is not one of an upload to this organisation.
        """
        self._check(context, ("upload",))
        return seal_to(self.public_key, plaintext, context)

    def open_upload(self, envelope: bytes, context: SealContext) -> bytes:
        """Open an upload, with whichever key of the organisation it was sealed to.

        Raises:
            SealBrokenError: it does not open in this context, or its key is gone.
            SealContextError: the context is not one of an upload to this organisation.
        """
        self._check(context, ("upload",))
        entry = self._entry
        named = recipient(envelope)
        public = next((key for key in entry.uploads if key_id(key) == named), self.public_key)
        private = self._keystore._below(self.organisation, entry, "hpke-key", public.hex())
        return open_with(private, envelope, context)

    def begin_epoch(self, name: str | None = None) -> str:
        """Make a new epoch key and use it from now on; the old one stays until `retire_epoch`. A name in use already changes nothing.

        Args:
            name: such as `2026-12`; by default this month, with a number behind it when the month has an epoch already.

        Raises:
            EpochError: the name is malformed or retired, or two epochs are there already.
        """

        def begun(entry: OrganisationEntry, key: bytes) -> OrganisationEntry:
            wanted = name if name is not None else _unused(entry)
            if wanted == next(reversed(entry.epochs)):
                return entry
            if not EPOCH_NAME.fullmatch(wanted):
                raise EpochError("an epoch is written YYYY-MM or YYYY-MM.N")
            if wanted in entry.epochs or wanted in entry.retired:
                raise EpochError(f"the epoch {wanted} of {self.organisation} was in use before; use another name")
            if len(entry.epochs) > 1:
                raise EpochError(
                    f"{self.organisation} has an epoch that is not retired yet: {next(iter(entry.epochs))}; re-wrap and retire it first"
                )
            made = wrap_key(key, new_key(), _below_context(self.organisation, entry.version, "epoch-key", wanted))
            return replace(entry, epochs={**entry.epochs, wanted: made})

        self._change(begun)
        return self.epoch

    def retire_epoch(self, name: str) -> None:
        """Destroy the key of an old epoch (rule 4). What is still wrapped under it is lost. Retiring twice changes nothing.

        Raises:
            EpochError: the epoch is in use, or there never was one of this name.
        """

        def retired(entry: OrganisationEntry, key: bytes) -> OrganisationEntry:
            if name in entry.retired:
                return entry
            if name not in entry.epochs:
                raise EpochError(f"{self.organisation} has no such epoch")
            if name == next(reversed(entry.epochs)):
                raise EpochError(f"the epoch {name} of {self.organisation} is in use; begin another one first")
            left = {epoch: wrapped for epoch, wrapped in entry.epochs.items() if epoch != name}
            return replace(entry, epochs=left, retired=(*entry.retired, name))

        self._change(retired)

    def renew_upload_key(self) -> None:
        """Make a new key pair for uploads. Uploads to older ones still open, until `forget_upload_keys`."""

        def renewed(entry: OrganisationEntry, key: bytes) -> OrganisationEntry:
            private, public = new_key_pair()
            context = _below_context(self.organisation, entry.version, "hpke-key", public.hex())
            return replace(entry, uploads={**entry.uploads, public: wrap_key(key, private, context)})

        self._change(renewed)

    def forget_upload_keys(self) -> None:
        """Destroy all key pairs for uploads but the one in use. An upload to one of them can never be opened again."""

        def forgotten(entry: OrganisationEntry, key: bytes) -> OrganisationEntry:
            public, wrapped = next(reversed(entry.uploads.items()))
            return replace(entry, uploads={public: wrapped})

        self._change(forgotten)

    def for_escrow(self) -> RecoveredKeys:
        """The keys that escrow holds: those of the epoch in use, never of an older one."""
        entry = self._entry
        if len(entry.epochs) > 1:
            raise EpochError(
                f"{self.organisation} is between two epochs; re-wrap its data keys and retire {next(iter(entry.epochs))} first"
            )
        epoch = next(reversed(entry.epochs))
        return RecoveredKeys(
            organisation=self.organisation,
            epoch=epoch,
            epoch_key=self._keystore._below(self.organisation, entry, "epoch-key", epoch),
            index_secret=self._keystore._below(self.organisation, entry, "index-key", "index"),
        )

    @property
    def _entry(self) -> OrganisationEntry:
        return self._keystore._entry(self.organisation)

    def _change(self, change: Callable[[OrganisationEntry, bytes], OrganisationEntry]) -> None:
        self._keystore._change_organisation(self.organisation, change)

    def _check(self, context: SealContext, kinds: tuple[str, ...]) -> None:
        if context.organisation != self.organisation or context.kind not in kinds:
            raise SealContextError(
                f"the keys of {self.organisation} take a context of the kind {' or '.join(kinds)}, and of this organisation"
            )


class Keystore:
    """All keys of a vault, opened with its root key.

    >>> import tempfile
    >>> from casehaven.vault.rootkeys import HeldKey
    >>> folder = Path(tempfile.mkdtemp()) / "keys"
    >>> root = HeldKey(key=new_key())
    >>> north = Keystore.create(folder, root).add_organisation("north", epoch="2026-11")
    >>> context = SealContext(kind="person-key", organisation="north", object_id="7")
    >>> wrapped = north.wrap_dek(bytes(32), context)
    >>> Keystore.open(folder, root).organisation("north").unwrap_dek(wrapped, "2026-11", context) == bytes(32)
    True
    """

    def __init__(self, file: KeystoreFile, root: RootKey, document_key: bytes) -> None:
        """Use `create` or `open`."""
        self._file = file
        self._root = root
        self._document_key = document_key
        self._unwrapped: dict[bytes, bytes] = {}
        self._stamp: tuple[int, int, int] | None = None
        self._document: KeystoreDocument

    def __repr__(self) -> str:
        return f"Keystore({str(self.path)!r})"

    @classmethod
    def create(cls, path: Path, root: RootKey) -> Keystore:
        """Make a keystore in a folder, with permissions 0700.

        Raises:
            KeystoreExistsError: there is one already.
            KeystoreError: the folder cannot be written.
            RootKeyError: the root key cannot be used.
        """
        forbid_core_dumps()
        root = root.fresh()
        keystore_id = secrets.token_hex(16)
        signing = Ed25519PrivateKey.generate()
        keys = {
            "linkage": new_key(),
            "audit": new_key(),
            "document": new_key(),
            "signing": signing.private_bytes_raw(),
        }
        document = KeystoreDocument(
            keystore_id=keystore_id,
            sequence=1,
            root=root.description(),
            root_version=1,
            vault={name: root.wrap(key, _vault_context(keystore_id, 1, name)) for name, key in keys.items()},
            verify_key=signing.public_key().public_bytes_raw(),
            organisations={},
        )
        KeystoreFile(Path(path)).create(document.to_bytes(keys["document"]))
        return cls.open(path, root)

    @classmethod
    def open(cls, path: Path, root: RootKey) -> Keystore:
        """Open a keystore.

        Raises:
            KeystoreMissingError: there is none.
            RootKeyError: it is not this root key's.
            DamagedKeystoreError: it was changed.
            KeystoreVersionError: another format.
        """
        forbid_core_dumps()
        file = KeystoreFile(Path(path))
        with file.lock(writes=False):
            stamp, (document, mac) = file.stamp(), parse_document(file.read())
        root = root.bound(document.root)
        document_key = _open_document_key(root, document)
        document.verify(document_key, mac)
        opened = cls(file, root, document_key)
        opened._document, opened._stamp = document, stamp
        return opened

    @property
    def path(self) -> Path:
        """The folder."""
        return self._file.folder

    @property
    def keystore_id(self) -> str:
        """32 hexadecimal digits, the same for ever."""
        return self._current.keystore_id

    @property
    def sequence(self) -> int:
        """Grows with every change; an anchor that remembers it notices an old keystore."""
        return self._current.sequence

    @property
    def root_version(self) -> int:
        """Grows with every rotation of the root key."""
        return self._current.root_version

    @property
    def root_kind(self) -> str:
        """Where the root key is kept: `key`, `passphrase` or `pkcs11`."""
        return self._root.kind

    @property
    def organisations(self) -> tuple[str, ...]:
        """The organisations that have keys here, sorted."""
        return tuple(sorted(self._current.organisations))

    @property
    def verify_key(self) -> bytes:
        """The public half of the signing key: 32 bytes, Ed25519."""
        return self._current.verify_key

    def linkage_key(self) -> bytes:
        """The key with which person tokens are keyed again before they are stored (privacy rule 2)."""
        return self._vault_key("linkage")

    def audit_key(self) -> bytes:
        """The key of the audit log's leaves."""
        return self._vault_key("audit")

    def signing_key(self) -> Ed25519PrivateKey:
        """The key that signs checkpoints and the anchor."""
        return Ed25519PrivateKey.from_private_bytes(self._vault_key("signing"))

    def organisation(self, organisation: str) -> OrganisationKeys:
        """The keys of an organisation.

        Raises:
            UnknownOrganisationError: it has none here.
        """
        self._entry(organisation)
        return OrganisationKeys(self, organisation)

    def add_organisation(self, organisation: str, *, epoch: str | None = None) -> OrganisationKeys:
        """Make the keys of an organisation; when it has keys already they stay as they are.

        Args:
            organisation: small letters, digits, `.`, `_` and `-`, as in the ledger.
            epoch: name of its first epoch; by default this month.

        Raises:
            UnknownOrganisationError: the name cannot be one.
            EpochError: the epoch's name cannot be one.
        """
        _check_names(organisation, epoch)

        def added(document: KeystoreDocument) -> KeystoreDocument:
            if organisation in document.organisations:
                return document
            return self._with_keys(document, organisation, epoch or epoch_of_month(), new_key(), new_key())

        self._change(added)
        return OrganisationKeys(self, organisation)

    def adopt(self, recovered: RecoveredKeys) -> OrganisationKeys:
        """Take in the keys of an organisation that came out of escrow; its own data keys open with them again.

        Raises:
            KeystoreError: the organisation has keys here already.
        """
        _check_names(recovered.organisation, recovered.epoch)

        def adopted(document: KeystoreDocument) -> KeystoreDocument:
            if recovered.organisation in document.organisations:
                raise KeystoreError(f"{recovered.organisation} has keys in this keystore already; use a new keystore")
            keys = recovered.epoch_key, recovered.index_secret
            return self._with_keys(document, recovered.organisation, recovered.epoch, *keys)

        self._change(adopted)
        return OrganisationKeys(self, recovered.organisation)

    def rotate_root(self, new: RootKey) -> None:
        """Re-wrap everything that the root key wraps with a new one (rules 1 and 2). The old one opens nothing afterwards.

        Copies of the old keystore still open with the old root key: destroy one of the two.

        Raises:
            RootKeyError: the new root key cannot be used, or is the old one.
        """
        if self._opens(new):
            raise RootKeyError("the new root key is the one in use; a rotation needs another one")
        fresh = new.fresh()

        def rotated(document: KeystoreDocument) -> KeystoreDocument:
            version = document.root_version + 1
            name_of, old, after = document.keystore_id, document.root_version, {}
            vault = {}
            for name, wrapped in document.vault.items():
                key = self._root.unwrap(wrapped, _vault_context(name_of, old, name))
                vault[name] = fresh.wrap(key, _vault_context(name_of, version, name))
            for organisation, entry in document.organisations.items():
                key = self._root.unwrap(entry.key, _organisation_context(name_of, old, organisation, entry.version))
                context = _organisation_context(name_of, version, organisation, entry.version)
                after[organisation] = replace(entry, key=fresh.wrap(key, context))
            made = replace(document, root=fresh.description(), root_version=version, vault=vault, organisations=after)
            self._prove(fresh, made)
            return made

        self._change(rotated, root=fresh)

    def rotate_organisation(self, organisation: str) -> None:
        """Re-wrap everything below an organisation's key with a new one (rules 1 and 2). No data key changes, no data is read.

        Raises:
            UnknownOrganisationError: it has no keys here.
        """

        def rotated(document: KeystoreDocument) -> KeystoreDocument:
            entry = _entry_of(document, organisation)
            key, version = new_key(), entry.version + 1

            def again(kind: Kind, name: str, wrapped: bytes) -> bytes:
                old = self._below(organisation, entry, kind, name, document=document)
                return wrap_key(key, old, _below_context(organisation, version, kind, name))

            context = _organisation_context(document.keystore_id, document.root_version, organisation, version)
            made = document.with_organisation(
                organisation,
                replace(
                    entry,
                    version=version,
                    key=self._root.wrap(key, context),
                    index=again("index-key", "index", entry.index),
                    uploads={p: again("hpke-key", p.hex(), w) for p, w in entry.uploads.items()},
                    epochs={name: again("epoch-key", name, w) for name, w in entry.epochs.items()},
                ),
            )
            self._prove(self._root, made)
            return made

        self._change(rotated)

    def backup(self, path: Path) -> None:
        """Write a copy of the keystore's file: wrapped keys, useless without the root key. An older copy there is replaced.

        Keep it apart from the backups of the data, and no longer than the time in which an erasure is promised: a key that was retired is still
        in older copies.

        Raises:
            KeystoreError: it cannot be written.
        """
        with self._file.lock(writes=False):
            document = self._reload()
        try:
            write_whole(Path(path), document.to_bytes(self._document_key), mode=0o600, replace=True)
        except OSError as error:
            raise KeystoreError(f"{path} cannot be written: {error.strerror}") from None

    @classmethod
    def restore(cls, backup: Path, path: Path, root: RootKey) -> Keystore:
        """Make a keystore from a copy that `backup` wrote, after opening it with the root key.

        Raises:
            KeystoreExistsError: there is a keystore at the path already.
            RootKeyError: the copy is not this root key's.
            DamagedKeystoreError: the copy was changed.
        """
        try:
            data = Path(backup).read_bytes()
        except OSError as error:
            raise KeystoreError(f"{backup} cannot be read: {error.strerror}") from None
        document, mac = parse_document(data)
        bound = root.bound(document.root)
        document.verify(_open_document_key(bound, document), mac)
        KeystoreFile(Path(path)).create(data)
        return cls.open(path, root)

    # what OrganisationKeys builds on

    @property
    def _current(self) -> KeystoreDocument:
        """The document, read again when the file was replaced (rule 5)."""
        if self._file.stamp() != self._stamp:
            with self._file.lock(writes=False):
                self._reload()
        return self._document

    def _reload(self) -> KeystoreDocument:
        stamp, (document, mac) = self._file.stamp(), parse_document(self._file.read())
        if self._stamp is not None and document.keystore_id != self._document.keystore_id:
            raise DamagedKeystoreError(f"{self.path} holds another keystore than the one that was opened")
        document.verify(self._document_key, mac)
        self._document, self._stamp = document, stamp
        there = {wrapped for entry in document.organisations.values() for wrapped in _wrapped(entry)}
        there.update(document.vault.values())
        self._unwrapped = {wrapped: key for wrapped, key in self._unwrapped.items() if wrapped in there}
        return document

    def _entry(self, organisation: str) -> OrganisationEntry:
        return _entry_of(self._current, organisation)

    def _vault_key(self, name: str) -> bytes:
        document = self._current
        wrapped = document.vault[name]
        if wrapped not in self._unwrapped:
            context = _vault_context(document.keystore_id, document.root_version, name)
            self._unwrapped[wrapped] = _from_root(self._root, wrapped, context)
        return self._unwrapped[wrapped]

    def _organisation_key(self, document: KeystoreDocument, organisation: str, entry: OrganisationEntry) -> bytes:
        if entry.key not in self._unwrapped:
            context = _organisation_context(document.keystore_id, document.root_version, organisation, entry.version)
            self._unwrapped[entry.key] = _from_root(self._root, entry.key, context)
        return self._unwrapped[entry.key]

    def _below(
        self,
        organisation: str,
        entry: OrganisationEntry,
        kind: Kind,
        name: str,
        *,
        document: KeystoreDocument | None = None,
    ) -> bytes:
        """A key that the organisation's key wraps."""
        wrapped = _find(entry, kind, name)
        known = self._unwrapped.get(wrapped)
        if known is None:
            key = self._organisation_key(document or self._document, organisation, entry)
            known = _unwrap_below(key, wrapped, organisation, entry.version, kind, name)
            self._unwrapped[wrapped] = known
        return known

    def _change_organisation(
        self, organisation: str, change: Callable[[OrganisationEntry, bytes], OrganisationEntry]
    ) -> None:
        def changed(document: KeystoreDocument) -> KeystoreDocument:
            entry = _entry_of(document, organisation)
            made = change(entry, self._organisation_key(document, organisation, entry))
            return document if made == entry else document.with_organisation(organisation, made)

        self._change(changed)

    def _change(self, change: Callable[[KeystoreDocument], KeystoreDocument], *, root: RootKey | None = None) -> None:
        """Read, change and replace the file under the exclusive lock."""
        with self._file.lock(writes=True):
            document = self._reload()
            made = change(document)
            if made is document:
                return
            self._file.replace(replace(made, sequence=document.sequence + 1).to_bytes(self._document_key))
            if root is not None:
                self._root = root
            self._reload()

    def _with_keys(
        self,
        document: KeystoreDocument,
        organisation: str,
        epoch: str,
        epoch_key: bytes,
        index_secret: bytes,
    ) -> KeystoreDocument:
        """The document with a new organisation that has these keys, a new organisation key and a new key pair."""
        key = new_key()
        private, public = new_key_pair()

        def below(kind: Kind, name: str, inner: bytes) -> bytes:
            return wrap_key(key, inner, _below_context(organisation, 1, kind, name))

        entry = OrganisationEntry(
            version=1,
            key=self._root.wrap(
                key, _organisation_context(document.keystore_id, document.root_version, organisation, 1)
            ),
            index=below("index-key", "index", index_secret),
            uploads={public: below("hpke-key", public.hex(), private)},
            epochs={epoch: below("epoch-key", epoch, epoch_key)},
        )
        return document.with_organisation(organisation, entry)

    def _opens(self, root: RootKey) -> bool:
        """Whether a root key opens this keystore as it is."""
        document = self._current
        try:
            _open_document_key(root.bound(document.root), document)
        except RootKeyError:
            return False
        return True

    def _prove(self, root: RootKey, made: KeystoreDocument) -> None:
        """Open all of a keystore that is to take this one's place (rule 2)."""
        if _open_document_key(root, made) != self._document_key:
            raise DamagedKeystoreError("the re-wrapped keystore does not open; nothing was changed")
        for name, wrapped in made.vault.items():
            root.unwrap(wrapped, _vault_context(made.keystore_id, made.root_version, name))
        for organisation, entry in made.organisations.items():
            context = _organisation_context(made.keystore_id, made.root_version, organisation, entry.version)
            key = root.unwrap(entry.key, context)
            for kind, name, wrapped in _all_below(entry):
                _unwrap_below(key, wrapped, organisation, entry.version, kind, name)


def epoch_of_month(now: datetime | None = None) -> str:
    """The plain name of a month's epoch.

    >>> epoch_of_month(datetime(2026, 11, 22))
    '2026-11'
    """
    return (now or datetime.now(UTC)).strftime("%Y-%m")


def _unused(entry: OrganisationEntry) -> str:
    """A name for the next epoch: this month, then this month with a number."""
    month = epoch_of_month()
    names = (month, *(f"{month}.{number}" for number in range(2, 10_000)))
    return next(name for name in names if name not in entry.epochs and name not in entry.retired)


def _vault_context(keystore_id: str, root_version: int, name: str) -> SealContext:
    return SealContext(kind="vault-key", organisation="", dataset=keystore_id, version=root_version, object_id=name)


def _organisation_context(keystore_id: str, root_version: int, organisation: str, version: int) -> SealContext:
    return SealContext(
        kind="organisation-key",
        organisation=organisation,
        dataset=keystore_id,
        version=root_version,
        object_id=str(version),
    )


def _below_context(organisation: str, version: int, kind: Kind, name: str) -> SealContext:
    return SealContext(kind=kind, organisation=organisation, version=version, object_id=name)


def _unwrap_below(key: bytes, wrapped: bytes, organisation: str, version: int, kind: Kind, name: str) -> bytes:
    try:
        return unwrap_key(key, wrapped, _below_context(organisation, version, kind, name))
    except SealBrokenError:
        raise DamagedKeystoreError(f"{FILE}: a key of {organisation} does not open") from None


def _all_below(entry: OrganisationEntry) -> tuple[tuple[Kind, str, bytes], ...]:
    """Every key that the organisation's key wraps, with its kind and name."""
    return (
        ("index-key", "index", entry.index),
        *(("hpke-key", public.hex(), wrapped) for public, wrapped in entry.uploads.items()),
        *(("epoch-key", name, wrapped) for name, wrapped in entry.epochs.items()),
    )


def _find(entry: OrganisationEntry, kind: Kind, name: str) -> bytes:
    if kind == "epoch-key":
        return entry.epochs[name]
    if kind == "index-key":
        return entry.index
    return entry.uploads[bytes.fromhex(name)]


def _wrapped(entry: OrganisationEntry) -> tuple[bytes, ...]:
    return entry.key, *(wrapped for _, _, wrapped in _all_below(entry))


def _entry_of(document: KeystoreDocument, organisation: str) -> OrganisationEntry:
    entry = document.organisations.get(organisation)
    if entry is None:
        raise UnknownOrganisationError("the keystore has no keys of this organisation")
    return entry


def _from_root(root: RootKey, wrapped: bytes, context: SealContext) -> bytes:
    try:
        return root.unwrap(wrapped, context)
    except SealBrokenError:
        raise RootKeyError(
            "the root key was rotated by another process; open the keystore again with the new one"
        ) from None


def _open_document_key(root: RootKey, document: KeystoreDocument) -> bytes:
    context = _vault_context(document.keystore_id, document.root_version, "document")
    try:
        return root.unwrap(document.vault["document"], context)
    except SealBrokenError:
        raise RootKeyError(
            "the root key does not open this keystore: it is another one, it was rotated, or the keystore was changed"
        ) from None


def _check_names(organisation: str, epoch: str | None) -> None:
    if not ORGANISATION_NAME.fullmatch(organisation):
        raise UnknownOrganisationError(
            "an organisation's name has 1 to 64 small letters, digits, '.', '_' or '-', and begins with a letter or digit"
        )
    if epoch is not None and not EPOCH_NAME.fullmatch(epoch):
        raise EpochError("an epoch is written YYYY-MM or YYYY-MM.N")
