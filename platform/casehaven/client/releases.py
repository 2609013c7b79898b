"""Releases: published bundles, fetched file by file and checked before they have a name.

1. The signed manifest comes first. What it names decides which files are fetched, how long each is and what it holds; the server decides nothing of it. A name is a plain one, so no file leaves its folder.
2. A bundle has its folder when all of it is there and as it was signed. Until then it lies in a hidden folder beside it, which is removed where anything goes wrong.
3. Who signed is checked against a trust store of yours, without the network.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from casehaven.client.display import Listing
from casehaven.client.errors import ExistingDownloadError, UnexpectedAnswerError
from casehaven.client.fields import ID, Fields, pages
from casehaven.client.transport import Transport
from casesynth._files import sync_folder
from casesynth.manifest import (
    MANIFEST_NAME,
    SIGNATURE_NAME,
    BundleVerification,
    FileEntry,
    ManifestError,
    UnknownSignerError,
    parse_manifest,
    verify_bundle,
)
from casesynth.signing import BadSignatureError, TrustStore, parse_signature

BUNDLE_MOST: Final = 4 * 1024**3
"""Bytes of a bundle; more is refused before it is fetched."""
_MANIFEST_MOST: Final = 16 * 1024**2
_SIGNATURE_MOST: Final = 4_096

Fetched = Callable[[int, int], None]
"""Is called with the bytes that are there, and all of them."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """A published bundle, as the server lists it. What holds is in its signed manifest."""

    id: str
    title: str
    organisation: str | None
    """None of one under an agreement: its contributors are not named."""
    state: str
    """`published` or `withdrawn`, or of your own organisation `drawn`, `expired` or `withheld`."""
    fingerprint: str
    """Of the key with which the service says that it signed."""


@dataclass(frozen=True, kw_only=True)
class Download:
    """A bundle that is there whole, as it was signed."""

    folder: Path
    fingerprint: str
    """Of the key that signed it."""
    signer: str | None
    """Name of the signer in the trust store; None where nobody looked."""


class Releases:
    """Published bundles."""

    def __init__(self, transport: Transport) -> None:
        """Use a connection."""
        self._transport = transport

    def list(self) -> Listing[Release]:
        """Return the bundles that you may download."""
        return Listing(pages(self._transport, "/v1/releases", _read, "list of releases"))

    def download(
        self,
        release_id: str,
        folder: Path | str,
        *,
        trust: TrustStore | None = None,
        most: int = BUNDLE_MOST,
        fetched: Fetched | None = None,
    ) -> Download:
        """Fetch a bundle into a new folder, and check that it is as it was signed.

        Args:
            release_id: from `list`.
            folder: must not be there.
            trust: whose signatures are taken; None: anybody's, and `verify` is still to be called.
            most: bytes; a larger bundle is refused.
            fetched: is told of the bytes.

        Raises:
            ExistingDownloadError: the folder is there.
            UnknownSignerError: whoever signed is not in the trust store; nothing is kept.
            UnexpectedAnswerError: the bundle is not as it was signed, or is too large; nothing is kept.
            OSError: the disk is full, or the folder cannot be made.
        """
        if not ID.fullmatch(release_id):
            raise ValueError("the id of a release is 32 hexadecimal digits")
        target = Path(folder)
        if target.exists() or target.is_symlink():
            raise ExistingDownloadError(f"{target} is there already; nothing was fetched")
        part = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
        part.mkdir(mode=0o700)
        try:
            found = self._fetch(release_id, part, trust, most, fetched)
            sync_folder(part)
            part.chmod(0o755)
            part.rename(target)
            sync_folder(target.parent)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        return Download(folder=target, fingerprint=found[0], signer=found[1])

    def verify(self, folder: Path | str, trust: TrustStore) -> BundleVerification:
        """Check a bundle on the disk, without the network.

        Raises:
            ChangedFileError, BadSignatureError: it is not as it was signed.
            UnknownSignerError: it is, and whoever signed it is not in the trust store.
        """
        return verify_bundle(Path(folder), trust)

    def _fetch(
        self, release_id: str, part: Path, trust: TrustStore | None, most: int, fetched: Fetched | None
    ) -> tuple[str, str | None]:
        place = f"/v1/releases/{release_id}/files"
        manifest_bytes = self._small(f"{place}/{MANIFEST_NAME}", part / MANIFEST_NAME, _MANIFEST_MOST)
        signature_bytes = self._small(f"{place}/{SIGNATURE_NAME}", part / SIGNATURE_NAME, _SIGNATURE_MOST)
        try:
            signature = parse_signature(signature_bytes)
            signature.verify(manifest_bytes)
            manifest = parse_manifest(manifest_bytes)
        except (BadSignatureError, ManifestError):
            raise UnexpectedAnswerError("the bundle's manifest is not as it was signed; nothing was kept") from None
        key = signature.public_key
        signer = None if trust is None else trust.lookup(key)
        if trust is not None and signer is None:
            raise UnknownSignerError(
                f"the bundle is signed by {key.fingerprint}, who is not in the trust store; nothing was kept",
                fingerprint=key.fingerprint,
            )
        whole = sum(entry.size for entry in manifest.files)
        if whole > most:
            raise UnexpectedAnswerError(f"the bundle has {whole:,} bytes, and at most {most:,} are taken")
        there = 0
        for entry in manifest.files:
            self._file(place, entry, part)
            there += entry.size
            if fetched is not None:
                fetched(there, whole)
        return key.fingerprint, None if signer is None else signer.name

    def _small(self, path: str, into: Path, most: int) -> bytes:
        held = bytearray()

        def take(pieces: Iterator[bytes]) -> None:
            held.clear()
            for piece in pieces:
                held.extend(piece)

        self._transport.download(path, most=most, into=take)
        _write(into, iter([bytes(held)]))
        return bytes(held)

    def _file(self, place: str, entry: FileEntry, part: Path) -> None:
        digest = hashlib.sha256()

        def measured(pieces: Iterator[bytes]) -> Iterator[bytes]:
            for piece in pieces:
                digest.update(piece)
                yield piece

        def take(pieces: Iterator[bytes]) -> None:
            nonlocal digest
            digest = hashlib.sha256()
            (part / entry.name).unlink(missing_ok=True)
            _write(part / entry.name, measured(pieces))

        self._transport.download(f"{place}/{entry.name}", most=entry.size, into=take)
        if (part / entry.name).stat().st_size != entry.size or digest.hexdigest() != entry.sha256:
            raise UnexpectedAnswerError(f"{entry.name} is not as it was signed; nothing was kept")


def _write(path: Path, pieces: Iterator[bytes]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    with os.fdopen(os.open(path, flags, 0o644), "wb") as file:
        for piece in pieces:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def _read(fields: Fields) -> Release:
    return Release(
        id=fields.id("id"),
        title=fields.text("title"),
        organisation=fields.maybe_text("organisation"),
        state=fields.text("state"),
        fingerprint=fields.text("fingerprint"),
    )
