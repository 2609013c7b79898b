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
4. Another process may change the keystore. Each use of a key looks whether the file is still the one that was read.
5. Keys never leave in a `repr` or a message, and this process writes no core dump from the moment it opens a keystore.

What an organisation does with its keys is in `casehaven.vault.organisation_keys`; how keys are looked up in the file and held in memory is in
`casehaven.vault.open_keystore`; the file is in `casehaven.vault.keystore_file`.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from casehaven.vault._hygiene import forbid_core_dumps
from casehaven.vault.context import Kind
from casehaven.vault.envelope import new_key_pair, seal_to
from casehaven.vault.errors import (
    DamagedKeystoreError,
    EpochError,
    KeystoreError,
    RootKeyError,
    SealBrokenError,
    UnknownOrganisationError,
)
from casehaven.vault.key_contexts import (
    all_below,
    below_context,
    organisation_context,
    unwrap_below,
    vault_context,
)
from casehaven.vault.keystore_file import (
    EPOCH_NAME,
    ORGANISATION_NAME,
    KeystoreDocument,
    KeystoreFile,
    OrganisationEntry,
    parse_document,
)
from casehaven.vault.open_keystore import OpenKeystore, entry_in
from casehaven.vault.organisation_keys import OrganisationKeys, RecoveredKeys, epoch_of_month
from casehaven.vault.rootkeys import RootKey
from casehaven.vault.sealed import new_key, wrap_key
from casesynth._files import write_whole

__all__ = ["Keystore", "OrganisationKeys", "RecoveredKeys", "epoch_of_month", "seal_to"]


class Keystore(OpenKeystore):
    """All keys of a vault, opened with its root key.

    >>> import tempfile
    >>> from casehaven.vault.context import SealContext
    >>> from casehaven.vault.rootkeys import HeldKey
    >>> folder = Path(tempfile.mkdtemp()) / "keys"
    >>> root = HeldKey(key=new_key())
    >>> north = Keystore.create(folder, root).add_organisation("north", epoch="2026-11")
    >>> context = SealContext(kind="person-key", organisation="north", object_id="7")
    >>> wrapped = north.wrap_dek(bytes(32), context)
    >>> Keystore.open(folder, root).organisation("north").unwrap_dek(wrapped, "2026-11", context) == bytes(32)
    True
    """

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
            vault={name: root.wrap(key, vault_context(keystore_id, 1, name)) for name, key in keys.items()},
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
        self.entry_of(organisation)
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
                key = self._root.unwrap(wrapped, vault_context(name_of, old, name))
                vault[name] = fresh.wrap(key, vault_context(name_of, version, name))
            for organisation, entry in document.organisations.items():
                key = self._root.unwrap(entry.key, organisation_context(name_of, old, organisation, entry.version))
                context = organisation_context(name_of, version, organisation, entry.version)
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
            entry = entry_in(document, organisation)
            key, version = new_key(), entry.version + 1

            def again(kind: Kind, name: str, wrapped: bytes) -> bytes:
                old = self.key_below(organisation, entry, kind, name, document=document)
                return wrap_key(key, old, below_context(organisation, version, kind, name))

            context = organisation_context(document.keystore_id, document.root_version, organisation, version)
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
            return wrap_key(key, inner, below_context(organisation, 1, kind, name))

        entry = OrganisationEntry(
            version=1,
            key=self._root.wrap(
                key, organisation_context(document.keystore_id, document.root_version, organisation, 1)
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
            root.unwrap(wrapped, vault_context(made.keystore_id, made.root_version, name))
        for organisation, entry in made.organisations.items():
            context = organisation_context(made.keystore_id, made.root_version, organisation, entry.version)
            key = root.unwrap(entry.key, context)
            for kind, name, wrapped in all_below(entry):
                unwrap_below(key, wrapped, organisation, entry.version, kind, name)


def _open_document_key(root: RootKey, document: KeystoreDocument) -> bytes:
    context = vault_context(document.keystore_id, document.root_version, "document")
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
