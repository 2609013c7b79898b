"""The manifest of a release bundle: every file by name, size and SHA-256, and the facts that the release states.

1. `manifest.json` names every file of the bundle except itself and `manifest.sig`; the signature covers its exact bytes.
   A bundle is flat: regular files with plain names, no folders, no symbolic links.
2. Verification needs no network. It checks the signature first, then every file, then whether the signer is known, and it reports
   everything it finds, by name.
3. A bundle with an invalid signature or with a changed, missing or unexpected file is refused whoever signed it. A whole bundle by a signer
   who is not in the trust store is refused as unknown, with the fingerprint to compare.
4. Nothing that stands in a manifest is used as a path before it has passed for a plain name, and no file is read into memory whole
   except the manifest and the signature, which have a size limit.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from casesynth._files import FileTooLargeError, NotRegularFileError, open_regular, read_regular, write_whole
from casesynth.canonical import JsonFaultError, JsonValue, canonical_json, parse_json
from casesynth.errors import CasesynthError
from casesynth.signing import (
    BadSignatureError,
    ManifestSignature,
    SigningKey,
    TrustedSigner,
    TrustStore,
    parse_signature,
)

MANIFEST_FORMAT = "casehaven-release/1"
MANIFEST_NAME = "manifest.json"
SIGNATURE_NAME = "manifest.sig"

_MANIFEST_LIMIT = 16_777_216
_SIGNATURE_LIMIT = 4_096
_FILES_LIMIT = 10_000
_SIZE_LIMIT = 2**63 - 1
_CHUNK = 1_048_576
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ManifestError(CasesynthError):
    """A bundle that cannot be described by a manifest, or a manifest that is not the format."""


class ChangedFileError(CasesynthError):
    """Files of a bundle are not as they were signed: changed, missing or added. The message names them."""


class UnknownSignerError(CasesynthError):
    """A whole bundle with a valid signature by a key that the trust store does not hold."""

    def __init__(self, message: str, *, fingerprint: str) -> None:
        super().__init__(message)
        self.fingerprint = fingerprint
        """Of the key that signed; to be compared with the signer over another channel."""


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One file of a bundle as it was when it was signed."""

    name: str
    """A plain file name: letters, digits, dot, hyphen, underscore; no path."""
    size: int
    """Bytes."""
    sha256: str
    """64 hexadecimal digits."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not is_plain_name(self.name):
            raise ManifestError(f"{str(self.name)[:140]!r} is not a plain file name of at most 128 characters")
        if self.name.casefold() in (MANIFEST_NAME, SIGNATURE_NAME):
            raise ManifestError(f"{self.name} cannot be an entry of the manifest")
        if isinstance(self.size, bool) or not isinstance(self.size, int) or not 0 <= self.size <= _SIZE_LIMIT:
            raise ManifestError(f"{self.name}: the size must be a number of bytes")
        if not isinstance(self.sha256, str) or not _SHA256.fullmatch(self.sha256):
            raise ManifestError(f"{self.name}: the sha256 must be 64 hexadecimal digits")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a release states about itself, and its files."""

    facts: Mapping[str, JsonValue]
    """Unit, guarantee, mechanisms, versions: whatever the release declares; public, canonical JSON."""
    files: tuple[FileEntry, ...]
    """Sorted by name; no two names that differ only in case."""

    def __post_init__(self) -> None:
        names = [entry.name for entry in self.files]
        if len({name.casefold() for name in names}) != len(names):
            raise ManifestError("a file name occurs twice in the manifest")
        if names != sorted(names):
            raise ManifestError("the files of the manifest must be sorted by name")
        if len(names) > _FILES_LIMIT:
            raise ManifestError(f"a bundle has at most {_FILES_LIMIT} files")

    def to_bytes(self) -> bytes:
        """The canonical bytes of `manifest.json`.

        Raises:
            JsonFaultError: the facts are not JSON.
        """
        files: list[JsonValue] = [
            {"name": entry.name, "size": entry.size, "sha256": entry.sha256} for entry in self.files
        ]
        return canonical_json({"format": MANIFEST_FORMAT, "facts": self.facts, "files": files})


@dataclass(frozen=True, kw_only=True)
class BundleVerification:
    """What verification found, complete, whether good or bad."""

    signature_fault: str | None
    """Why the signature is not valid, in words; None when it is."""
    fingerprint: str | None
    """Of the key that the signature names; None when there is no readable signature."""
    signer: TrustedSigner | None
    """The signer, when the trust store holds this very key."""
    manifest: Manifest | None
    """The manifest, when it is readable. Trust it only when `signature_fault` is None and `signer` is known."""
    manifest_fault: str | None
    """Why the manifest is not readable, in words; None when it is."""
    changed: tuple[str, ...]
    """Files whose content, size or kind differs from the manifest."""
    missing: tuple[str, ...]
    """Files that the manifest names and the folder lacks."""
    unexpected: tuple[str, ...]
    """Entries of the folder that the manifest does not name."""

    @property
    def whole(self) -> bool:
        """Whether every file is as the manifest says and the signature fits the manifest."""
        faults = (self.signature_fault, self.manifest_fault)
        return not any(faults) and not (self.changed or self.missing or self.unexpected)

    @property
    def trusted(self) -> bool:
        """Whether the bundle is whole and its signer is known."""
        return self.whole and self.signer is not None


def is_plain_name(name: str) -> bool:
    """Tell whether a bundle may hold a file of this name.

    >>> is_plain_name("synthetic.csv"), is_plain_name("../synthetic.csv"), is_plain_name(".hidden")
    (True, False, False)
    """
    return _PLAIN_NAME.fullmatch(name) is not None


def parse_manifest(unverified: bytes) -> Manifest:
    """Read the bytes of a `manifest.json`; this says nothing about who wrote them.

    Raises:
        ManifestError: they are not exactly the format.
    """
    try:
        fields = parse_json(unverified, MANIFEST_NAME)
    except JsonFaultError as error:
        raise ManifestError(str(error)) from None
    if not isinstance(fields, dict) or fields.get("format") != MANIFEST_FORMAT:
        raise ManifestError(f"{MANIFEST_NAME}: expected the format {MANIFEST_FORMAT}")
    facts, entries = fields.get("facts"), fields.get("files")
    if set(fields) != {"format", "facts", "files"} or not isinstance(facts, dict) or not isinstance(entries, list):
        raise ManifestError(f"{MANIFEST_NAME} must have the fields format, facts (an object) and files (a list)")
    files = []
    for index, entry in enumerate(entries[: _FILES_LIMIT + 1]):
        if not isinstance(entry, dict) or set(entry) != {"name", "size", "sha256"}:
            raise ManifestError(f"{MANIFEST_NAME} files/{index} must have the fields name, size and sha256")
        files.append(FileEntry(name=entry["name"], size=entry["size"], sha256=entry["sha256"]))
    return Manifest(facts=facts, files=tuple(files))


def file_entries(directory: Path) -> tuple[FileEntry, ...]:
    """Hash every file of a bundle but the manifest and its signature, by name.

    Raises:
        ManifestError: the folder holds something other than regular files with plain names, or nothing at all.
        OSError: a file cannot be read.
    """
    names = sorted(name for name in os.listdir(directory) if name not in (MANIFEST_NAME, SIGNATURE_NAME))
    if not names:
        raise ManifestError(f"{directory} holds no files to describe")
    files = []
    for name in names:
        if not is_plain_name(name):
            raise ManifestError(f"{name[:140]!r} is not a plain file name of at most 128 characters")
        try:
            size, sha256 = _measure(directory / name)
        except (NotRegularFileError, IsADirectoryError):
            raise ManifestError(f"{name} is not a regular file; a bundle is flat and holds nothing else") from None
        files.append(FileEntry(name=name, size=size, sha256=sha256))
    return tuple(files)


def write_manifest(directory: Path, facts: Mapping[str, JsonValue]) -> Manifest:
    """Hash every file of a bundle and write its `manifest.json`, whole or not at all; an older signature is removed.

    Args:
        directory: the folder of the bundle, flat, with all its other files complete.
        facts: what the release states about itself; public.

    Returns:
        The manifest as written.

    Raises:
        ManifestError: the folder holds something other than regular files with plain names, or nothing at all, or the facts are not JSON.
        OSError: a file cannot be read or the manifest cannot be written.
    """
    manifest = Manifest(facts=dict(facts), files=file_entries(directory))
    try:
        data = manifest.to_bytes()
    except JsonFaultError as error:
        raise ManifestError(f"the facts cannot be written: {error}") from None
    if len(data) > _MANIFEST_LIMIT:
        raise ManifestError(f"the manifest would be larger than {_MANIFEST_LIMIT} bytes")
    (directory / SIGNATURE_NAME).unlink(missing_ok=True)
    write_whole(directory / MANIFEST_NAME, data, mode=0o644, replace=True)
    return manifest


def sign_manifest(directory: Path, key: SigningKey) -> ManifestSignature:
    """Sign the manifest of a bundle as it is on disk and write `manifest.sig`.

    Raises:
        ManifestError: there is no readable manifest.
        OSError: the signature cannot be written.
    """
    data = _read(directory / MANIFEST_NAME, _MANIFEST_LIMIT)
    parse_manifest(data)
    signature = key.sign_manifest(data)
    write_whole(directory / SIGNATURE_NAME, signature.to_bytes(), mode=0o644, replace=True)
    return signature


def bundle_verification(directory: Path, trust: TrustStore) -> BundleVerification:
    """Check a bundle without a network and explain everything that was found; never refuses, whatever the bundle holds.

    Args:
        directory: the folder of the bundle, from anywhere.
        trust: the signers who are known here.

    Raises:
        ManifestError: the folder itself cannot be read.
    """
    try:
        present = set(os.listdir(directory))
    except OSError as error:
        raise ManifestError(f"{directory} cannot be read as a bundle: {error.strerror}") from None
    manifest: Manifest | None = None
    data: bytes | None = None
    signature: ManifestSignature | None = None
    signature_fault: str | None = None
    manifest_fault: str | None = None
    try:
        data = _read(directory / MANIFEST_NAME, _MANIFEST_LIMIT)
        manifest = parse_manifest(data)
    except ManifestError as error:
        manifest_fault = str(error)
    try:
        signature = parse_signature(_read(directory / SIGNATURE_NAME, _SIGNATURE_LIMIT))
        if data is not None:
            signature.verify(data)
    except (BadSignatureError, ManifestError) as error:
        signature_fault = str(error)
    if data is None and signature_fault is None:
        signature_fault = f"there is no readable {MANIFEST_NAME} that {SIGNATURE_NAME} could be valid for"
    changed, missing = [], []
    expected = manifest.files if manifest is not None else ()
    for entry in expected:
        if entry.name not in present:
            missing.append(entry.name)
        elif not _as_signed(directory / entry.name, entry):
            changed.append(entry.name)
    known = {entry.name for entry in expected} | {MANIFEST_NAME, SIGNATURE_NAME}
    return BundleVerification(
        signature_fault=signature_fault,
        fingerprint=None if signature is None else signature.public_key.fingerprint,
        signer=None if signature is None else trust.lookup(signature.public_key),
        manifest=manifest,
        manifest_fault=manifest_fault,
        changed=tuple(changed),
        missing=tuple(missing),
        unexpected=tuple(sorted(present - known)) if manifest is not None else (),
    )


def verify_bundle(directory: Path, trust: TrustStore) -> BundleVerification:
    """Return only when the bundle is whole and its signer is known.

    Returns:
        The verification, whose manifest and signer are present.

    Raises:
        BadSignatureError: the signature is missing, malformed or does not fit the manifest.
        ManifestError: the manifest is signed but not readable.
        ChangedFileError: a file was changed, is missing or was added; the message names each.
        UnknownSignerError: all is whole, but the trust store does not hold the signer's key.
    """
    found = bundle_verification(directory, trust)
    files = _files_sentence(found)
    if found.signature_fault is not None:
        raise BadSignatureError(found.signature_fault + (f"; also {files}" if files else ""))
    if found.manifest_fault is not None:
        raise ManifestError(found.manifest_fault)
    if files:
        raise ChangedFileError(f"the bundle is not as it was signed: {files}")
    if found.signer is None and found.fingerprint is not None:
        raise UnknownSignerError(
            f"the bundle is whole, but its signer {found.fingerprint} is not in the trust store",
            fingerprint=found.fingerprint,
        )
    return found


def _files_sentence(found: BundleVerification) -> str:
    kinds = (("changed", found.changed), ("missing", found.missing), ("unexpected", found.unexpected))
    return "; ".join(f"{kind}: {_listed(names)}" for kind, names in kinds if names)


def _listed(names: tuple[str, ...]) -> str:
    # a name that was added may hold control characters: it is shown in ASCII
    shown = ", ".join(name if is_plain_name(name) else ascii(name[:140]) for name in names[:20])
    return shown if len(names) <= 20 else f"{shown} and {len(names) - 20} more"


def _read(path: Path, limit: int) -> bytes:
    try:
        return read_regular(path, limit=limit)
    except FileNotFoundError:
        raise ManifestError(f"there is no {path.name} in the bundle") from None
    except (NotRegularFileError, FileTooLargeError) as error:
        raise ManifestError(str(error)) from None
    except OSError as error:
        raise ManifestError(f"{path.name} cannot be read: {error.strerror}") from None


def _as_signed(path: Path, entry: FileEntry) -> bool:
    try:
        return _measure(path, entry.size) == (entry.size, entry.sha256)
    except (NotRegularFileError, OSError):
        return False


def _measure(path: Path, expected_size: int | None = None) -> tuple[int, str]:
    """Size and SHA-256 of a regular file, read in pieces; stops early when the size cannot be the expected one."""
    digest, size = hashlib.sha256(), 0
    with open_regular(path) as file:
        if expected_size is not None and os.fstat(file.fileno()).st_size != expected_size:
            return -1, ""
        while piece := file.read(_CHUNK):
            size += len(piece)
            digest.update(piece)
            if expected_size is not None and size > expected_size:  # it grows while we read it
                return -1, ""
    return size, digest.hexdigest()
