"""The file of a keystore: wrapped keys only, one JSON document, replaced whole.

1. Everything is in `keystore.json`, canonical JSON with permissions 0600. One rename takes it from one state to the next, so a process that
   is killed anywhere leaves the old keystore or the new one, never half of each.
2. Writers hold an exclusive lock on `keystore.lock` from reading to renaming, readers a shared one; no write is lost.
3. `mac` is HMAC-SHA256 over the rest of the document under a key that the root key wraps. An edit without that key is refused. A whole old
   file is not noticed by this: `sequence`, which grows with every write, is for the anchor to remember.
4. The bytes of the file that was replaced are overwritten in place where nothing else links to them. On flash storage, on a file system that
   copies on write and in snapshots the old bytes may survive: they are wrapped keys, useless without the root key.
5. What a document says is checked field by field before it is believed.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hmac
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from casehaven.vault.errors import (
    DamagedKeystoreError,
    KeystoreError,
    KeystoreExistsError,
    KeystoreMissingError,
    KeystoreVersionError,
)
from casesynth._files import FileTooLargeError, NotRegularFileError, read_regular, write_whole
from casesynth.canonical import JsonFaultError, JsonValue, canonical_json, parse_json

FORMAT: Final = "casehaven-keystore/1"
FILE: Final = "keystore.json"
LOCK: Final = "keystore.lock"
VAULT_KEYS: Final = ("audit", "document", "linkage", "signing")

ORGANISATION_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
EPOCH_NAME: Final = re.compile(r"[0-9]{4}-(?:0[1-9]|1[0-2])(?:\.[1-9][0-9]{0,3})?")

_LIMIT: Final = 64 * 1024 * 1024
_LOCK_SECONDS: Final = 30.0
_ID: Final = re.compile(r"[0-9a-f]{32}")
_OVERWRITE_CHUNK: Final = 1 << 20


@dataclass(frozen=True, kw_only=True)
class OrganisationEntry:
    """What the document holds of one organisation. Every key in it is wrapped."""

    version: int
    """Of the organisation key; raised by its rotation."""
    key: bytes
    """The organisation key, wrapped with the root key."""
    index: bytes
    """The index secret, wrapped with the organisation key, like all below."""
    uploads: dict[bytes, bytes]
    """Public key for uploads to its private key; the last one is in use."""
    epochs: dict[str, bytes]
    """Name of an epoch to its key, in order; the last one is in use."""
    retired: tuple[str, ...] = ()
    """Names of epochs whose keys are gone. None is used again."""

    def plain(self) -> dict[str, JsonValue]:
        """As JSON."""
        return {
            "version": self.version,
            "key": _text(self.key),
            "index": _text(self.index),
            "uploads": [{"public": _text(p), "private": _text(w)} for p, w in self.uploads.items()],
            "epochs": [{"name": name, "key": _text(wrapped)} for name, wrapped in self.epochs.items()],
            "retired": list(self.retired),
        }


@dataclass(frozen=True, kw_only=True)
class KeystoreDocument:
    """The content of a keystore."""

    keystore_id: str
    """32 hexadecimal digits, for ever."""
    sequence: int
    """Raised by every write."""
    root: Mapping[str, JsonValue]
    """Public parameters of the root key."""
    root_version: int
    """Raised by every rotation of the root key."""
    vault: Mapping[str, bytes]
    """Keys of the whole vault, wrapped with the root key."""
    verify_key: bytes
    """Public half of the signing key."""
    organisations: Mapping[str, OrganisationEntry]
    """By name."""

    def with_organisation(self, name: str, entry: OrganisationEntry) -> KeystoreDocument:
        """The document with this entry in place of the organisation's."""
        return replace(self, organisations={**self.organisations, name: entry})

    def to_bytes(self, document_key: bytes) -> bytes:
        """The bytes of the file, with their MAC (rule 3)."""
        plain = self._plain()
        return canonical_json({**plain, "mac": _mac(document_key, plain)})

    def _plain(self) -> dict[str, JsonValue]:
        return {
            "format": FORMAT,
            "keystore_id": self.keystore_id,
            "sequence": self.sequence,
            "root": dict(self.root),
            "root_version": self.root_version,
            "vault": {name: _text(wrapped) for name, wrapped in self.vault.items()},
            "verify_key": _text(self.verify_key),
            "organisations": {name: entry.plain() for name, entry in self.organisations.items()},
        }

    def verify(self, document_key: bytes, unverified_mac: str) -> None:
        """Check that this is what somebody with the root key wrote.

        Raises:
            DamagedKeystoreError: it is not.
        """
        if not hmac.compare_digest(_mac(document_key, self._plain()).encode(), unverified_mac.encode()):
            raise DamagedKeystoreError("the keystore was changed by something that had no root key")


def parse_document(unverified: bytes) -> tuple[KeystoreDocument, str]:
    """Read the file of a keystore; return the document and its MAC, which is still to be verified.

    Raises:
        KeystoreVersionError: another format.
        DamagedKeystoreError: not a keystore.
    """
    try:
        fields: Any = parse_json(unverified, FILE)
    except JsonFaultError:
        raise DamagedKeystoreError(f"{FILE} is not JSON") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("format"), str):
        raise DamagedKeystoreError(f"{FILE} is not a keystore")
    if fields["format"] != FORMAT:
        raise KeystoreVersionError(f"{FILE} is not of the format {FORMAT}, which this software reads")
    try:
        _fields(
            fields,
            "format keystore_id sequence root root_version vault verify_key organisations mac",
        )
        if tuple(sorted(fields["vault"])) != VAULT_KEYS or not _ID.fullmatch(fields["keystore_id"]):
            raise ValueError
        document = KeystoreDocument(
            keystore_id=fields["keystore_id"],
            sequence=_number(fields["sequence"]),
            root=_mapping(fields["root"]),
            root_version=_number(fields["root_version"]),
            vault={name: _bytes(fields["vault"][name]) for name in VAULT_KEYS},
            verify_key=_bytes(fields["verify_key"], 32),
            organisations={_name(n): _entry(e) for n, e in sorted(_mapping(fields["organisations"]).items())},
        )
        return document, str(fields["mac"])
    except (KeyError, TypeError, ValueError, AttributeError, binascii.Error):
        raise DamagedKeystoreError(
            f"{FILE} has a field that no keystore has, lacks one, or holds a wrong value"
        ) from None


def _entry(fields: Any) -> OrganisationEntry:
    _fields(fields, "version key index uploads epochs retired")
    for upload in fields["uploads"]:
        _fields(upload, "public private")
    for epoch in fields["epochs"]:
        _fields(epoch, "name key")
    entry = OrganisationEntry(
        version=_number(fields["version"]),
        key=_bytes(fields["key"]),
        index=_bytes(fields["index"]),
        uploads={_bytes(upload["public"], 32): _bytes(upload["private"]) for upload in fields["uploads"]},
        epochs={_epoch(epoch["name"]): _bytes(epoch["key"]) for epoch in fields["epochs"]},
        retired=tuple(_epoch(name) for name in fields["retired"]),
    )
    names = [*entry.epochs, *entry.retired]
    if not entry.epochs or not entry.uploads or len(set(names)) != len(fields["epochs"]) + len(fields["retired"]):
        raise ValueError
    return entry


class KeystoreFile:
    """The file in its folder, read and written under a lock (rule 2)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / FILE

    def stamp(self) -> tuple[int, int, int]:
        """What changes when the file is replaced.

        Raises:
            KeystoreMissingError: it is not there.
        """
        try:
            found = os.stat(self.path)
        except OSError as error:
            raise _missing(self.folder, error) from None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def read(self) -> bytes:
        """The bytes of the file.

        Raises:
            KeystoreMissingError: there is none.
            KeystoreError: it cannot be read.
        """
        try:
            return read_regular(self.path, limit=_LIMIT)
        except (NotRegularFileError, FileTooLargeError) as error:
            raise KeystoreError(str(error)) from None
        except OSError as error:
            raise _missing(self.folder, error) from None

    def create(self, data: bytes) -> None:
        """Write the first state of a new keystore.

        Raises:
            KeystoreExistsError: there is one already.
            KeystoreError: it cannot be written.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            write_whole(self.path, data, mode=0o600, replace=False)
        except FileExistsError:
            raise KeystoreExistsError(
                f"{self.folder} holds a keystore already; its keys are never overwritten"
            ) from None
        except OSError as error:
            raise KeystoreError(f"{self.folder} cannot be written: {error.strerror}") from None

    def replace(self, data: bytes) -> None:
        """Put the next state in place of the last, and overwrite what is left of that (rules 1 and 4). The caller holds the lock.

        Raises:
            KeystoreError: it cannot be written; the last state stands.
        """
        try:
            for left in self.folder.glob(f".{FILE}.*.part"):  # of a process that was killed
                _overwrite(os.open(left, os.O_RDWR | os.O_NOFOLLOW), links=1)
                left.unlink()
            old = os.open(self.path, os.O_RDWR | os.O_NOFOLLOW)
            try:
                write_whole(self.path, data, mode=0o600, replace=True)
            except BaseException:
                os.close(old)
                raise
            _overwrite(old, links=0)
        except OSError as error:
            raise KeystoreError(f"{self.path} cannot be written: {error.strerror}") from None

    @contextmanager
    def lock(self, *, writes: bool) -> Iterator[None]:
        """Hold the lock: shared for reading, exclusive from reading to replacing.

        Raises:
            KeystoreError: others held it for longer than one waits.
        """
        try:
            descriptor = os.open(self.folder / LOCK, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            if writes or not self.path.exists():
                raise _missing(self.folder, error) from None
            yield  # a folder that nobody can write: nobody replaces the file either
            return
        try:
            _wait(descriptor, fcntl.LOCK_EX if writes else fcntl.LOCK_SH, self.folder)
            yield
        finally:
            os.close(descriptor)


def _wait(descriptor: int, kind: int, folder: Path) -> None:
    until = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise KeystoreError(f"another process has held {folder} for {_LOCK_SECONDS:g} seconds") from None
            time.sleep(0.01)


def _overwrite(descriptor: int, *, links: int) -> None:
    """Write zeros over a file that no name but the expected ones leads to, and close it."""
    try:
        found = os.fstat(descriptor)
        if found.st_nlink != links:
            return  # somebody's hard link, such as a backup: not ours to empty
        for start in range(0, found.st_size, _OVERWRITE_CHUNK):
            os.pwrite(descriptor, bytes(min(_OVERWRITE_CHUNK, found.st_size - start)), start)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _missing(folder: Path, error: OSError) -> KeystoreError:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return KeystoreMissingError(f"there is no keystore at {folder}")
    return KeystoreError(f"{folder} cannot be read: {error.strerror}")


def _mac(document_key: bytes, plain: dict[str, JsonValue]) -> str:
    return hmac.digest(document_key, canonical_json(plain), "sha256").hex()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str, length: int | None = None) -> bytes:
    data = base64.b64decode(text, validate=True)
    if length is not None and len(data) != length:
        raise ValueError
    return data


def _number(value: object) -> int:
    if type(value) is not int or value < 1:
        raise ValueError
    return value


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _fields(value: Any, names: str) -> None:
    if set(_mapping(value)) != set(names.split()):
        raise ValueError


def _name(value: str) -> str:
    if not ORGANISATION_NAME.fullmatch(value):
        raise ValueError
    return value


def _epoch(value: str) -> str:
    if not EPOCH_NAME.fullmatch(value):
        raise ValueError
    return value
