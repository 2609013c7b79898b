"""An organisation's public key as a file: what `prepare` seals to, and what makes sure that it is the right one.

1. Whoever swaps the key reads everything that is sealed to it. The fingerprint covers the organisation's name and the key; it is compared over another channel before
   the first file is sealed.
2. A file is JSON: `format`, `organisation`, `public_key` in hexadecimal digits, `fingerprint`. A file whose fingerprint is not that of its key is refused.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from casehaven.intake.errors import PublicKeyFileError
from casehaven.vault.context import prefixed
from casehaven.vault.sealed import KEY_BYTES
from casesynth._files import FileTooLargeError, NotRegularFileError, read_regular, write_whole

__all__ = ["FORMAT", "OrganisationPublicKey", "read_public_key", "write_public_key"]

FORMAT: Final = "casehaven-organisation-key/1"
_MOST: Final = 16_384


@dataclass(frozen=True, kw_only=True)
class OrganisationPublicKey:
    """The key to which files for an organisation are sealed."""

    organisation: str
    """Name in the vault."""
    public_key: bytes
    """X25519, 32 bytes."""

    @property
    def fingerprint(self) -> str:
        """What is compared over another channel (rule 1)."""
        said = prefixed(FORMAT.encode()) + prefixed(self.organisation.encode("utf-8")) + prefixed(self.public_key)
        return f"SHA256:{base64.b64encode(hashlib.sha256(said).digest()).decode('ascii').rstrip('=')}"


def write_public_key(path: Path, key: OrganisationPublicKey) -> None:
    """Write a key to a new file.

    Raises:
        PublicKeyFileError: the file exists or cannot be written.
    """
    document = {
        "format": FORMAT,
        "organisation": key.organisation,
        "public_key": key.public_key.hex(),
        "fingerprint": key.fingerprint,
    }
    text = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    try:
        write_whole(path, text.encode("utf-8"), mode=0o644, replace=False)
    except FileExistsError:
        raise PublicKeyFileError(f"{path} exists already") from None
    except OSError as error:
        raise PublicKeyFileError(f"{path} cannot be written: {error.strerror}") from None


def read_public_key(path: Path) -> OrganisationPublicKey:
    """Read a key. That the file is whole says nothing about whose key it is: compare the fingerprint.

    Raises:
        PublicKeyFileError: the file is not there or holds no such key.
    """
    try:
        unverified = json.loads(read_regular(path, limit=_MOST).decode("utf-8"))
    except OSError as error:
        raise PublicKeyFileError(f"{path} cannot be read: {error.strerror}") from None
    except (FileTooLargeError, NotRegularFileError):
        raise PublicKeyFileError(f"{path} is not a plain small file; expected an organisation's public key") from None
    except (ValueError, RecursionError):
        unverified = None
    if not isinstance(unverified, dict) or unverified.get("format") != FORMAT:
        raise PublicKeyFileError(f"{path} holds no organisation's public key; expected the format {FORMAT}")
    organisation, public, fingerprint = (unverified.get(name) for name in ("organisation", "public_key", "fingerprint"))
    try:
        raw = bytes.fromhex(public) if isinstance(public, str) else b""
    except ValueError:
        raw = b""
    if not isinstance(organisation, str) or not organisation or len(raw) != KEY_BYTES:
        raise PublicKeyFileError(f"{path}: organisation or public key is missing or malformed")
    key = OrganisationPublicKey(organisation=organisation, public_key=raw)
    if fingerprint != key.fingerprint:
        raise PublicKeyFileError(f"{path}: the fingerprint is not that of the key; the file was changed")
    return key
