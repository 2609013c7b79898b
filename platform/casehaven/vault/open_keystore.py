"""A keystore that is open: keys are unwrapped when they are used, held in memory, and forgotten when the file no longer has them.

1. Another process may change the keystore. Each use of a key looks whether the file is still the one that was read.
2. A change reads the file again, makes a new document of it and replaces the file, alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from casehaven.vault.context import Kind, SealContext
from casehaven.vault.errors import DamagedKeystoreError, RootKeyError, SealBrokenError, UnknownOrganisationError
from casehaven.vault.key_contexts import find_below, organisation_context, unwrap_below, vault_context, wrapped_keys
from casehaven.vault.keystore_file import KeystoreDocument, KeystoreFile, OrganisationEntry, parse_document
from casehaven.vault.rootkeys import RootKey


class OpenKeystore:
    """What `Keystore` and `OrganisationKeys` build on."""

    def __init__(self, file: KeystoreFile, root: RootKey, document_key: bytes) -> None:
        """Use `Keystore.create` or `Keystore.open`."""
        self._file = file
        self._root = root
        self._document_key = document_key
        self._unwrapped: dict[bytes, bytes] = {}
        self._stamp: tuple[int, int, int] | None = None
        self._document: KeystoreDocument

    @property
    def path(self) -> Path:
        """The folder."""
        return self._file.folder

    @property
    def _current(self) -> KeystoreDocument:
        """The document, read again when the file was replaced (rule 1)."""
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
        there = {wrapped for entry in document.organisations.values() for wrapped in wrapped_keys(entry)}
        there.update(document.vault.values())
        self._unwrapped = {wrapped: key for wrapped, key in self._unwrapped.items() if wrapped in there}
        return document

    def entry_of(self, organisation: str) -> OrganisationEntry:
        """Return what the file has of an organisation now.

        Raises:
            UnknownOrganisationError: it has nothing.
        """
        return entry_in(self._current, organisation)

    def _vault_key(self, name: str) -> bytes:
        document = self._current
        wrapped = document.vault[name]
        if wrapped not in self._unwrapped:
            context = vault_context(document.keystore_id, document.root_version, name)
            self._unwrapped[wrapped] = _from_root(self._root, wrapped, context)
        return self._unwrapped[wrapped]

    def _organisation_key(self, document: KeystoreDocument, organisation: str, entry: OrganisationEntry) -> bytes:
        if entry.key not in self._unwrapped:
            context = organisation_context(document.keystore_id, document.root_version, organisation, entry.version)
            self._unwrapped[entry.key] = _from_root(self._root, entry.key, context)
        return self._unwrapped[entry.key]

    def key_below(
        self,
        organisation: str,
        entry: OrganisationEntry,
        kind: Kind,
        name: str,
        *,
        document: KeystoreDocument | None = None,
    ) -> bytes:
        """A key that the organisation's key wraps."""
        wrapped = find_below(entry, kind, name)
        known = self._unwrapped.get(wrapped)
        if known is None:
            key = self._organisation_key(document or self._document, organisation, entry)
            known = unwrap_below(key, wrapped, organisation, entry.version, kind, name)
            self._unwrapped[wrapped] = known
        return known

    def change_entry(self, organisation: str, change: Callable[[OrganisationEntry, bytes], OrganisationEntry]) -> None:
        """Replace what the file has of an organisation (rule 2).

        Args:
            organisation: whose.
            change: makes the new entry of the old one and the organisation's key; the same one where nothing changes.
        """

        def changed(document: KeystoreDocument) -> KeystoreDocument:
            entry = entry_in(document, organisation)
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


def entry_in(document: KeystoreDocument, organisation: str) -> OrganisationEntry:
    """Return the entry of an organisation.

    Raises:
        UnknownOrganisationError: there is none.
    """
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
