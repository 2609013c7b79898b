"""A custodian: somebody in another organisation who keeps a share of a key, and the key pair for it.

1. The private key is an X25519 key in a PKCS#8 PEM file with permissions 0600, with a passphrase if the custodian wants one. It is never overwritten.
2. The public key is one line of text, `casehaven-custodian/1:` and base64; its fingerprint is compared over another channel before a packet
   is made.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from casehaven.vault.envelope import new_key_pair, public_key_of
from casehaven.vault.errors import CustodianKeyError, EscrowError
from casehaven.vault.keystore_file import ORGANISATION_NAME
from casehaven.vault.sealed import KEY_BYTES
from casesynth._files import NotRegularFileError, open_regular, write_whole

_PREFIX: Final = "casehaven-custodian/1:"
_NAME: Final = re.compile(r"[^\W_](?:[\w .,'-]{0,78}[\w.])?")
_LIMIT: Final = 16_384


@dataclass(frozen=True, kw_only=True)
class Custodian:
    """Somebody who keeps a share."""

    name: str
    """A role, rather than a person's name: it stands in the packet for all to read. 1 to 80 letters, digits, spaces and .,'-"""
    organisation: str
    """Of the custodian; written as in the vault."""
    public_key: bytes
    """32 bytes, X25519."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise EscrowError("a custodian's name has 1 to 80 letters, digits, spaces, '.', ',', an apostrophe or '-'")
        if not ORGANISATION_NAME.fullmatch(self.organisation):
            raise EscrowError("a custodian's organisation is written in small letters, digits, '.', '_' and '-'")
        if len(self.public_key) != KEY_BYTES:
            raise EscrowError(f"a custodian's public key has {KEY_BYTES} bytes")

    @property
    def fingerprint(self) -> str:
        """What two people compare by voice."""
        return fingerprint(self.public_key)


def fingerprint(public_key: bytes) -> str:
    """`SHA256:` and the base64 of the SHA-256 of a public key, without padding.

    >>> fingerprint(bytes(32))
    'SHA256:Zmh6rfhivXdsj8GLjp+OIAiXFIVu4jOzkCpZHQ1fKSU'
    """
    return "SHA256:" + base64.b64encode(hashlib.sha256(public_key).digest()).decode("ascii").rstrip("=")


def public_key_text(public_key: bytes) -> str:
    """A public key as one line of text."""
    return _PREFIX + base64.b64encode(public_key).decode("ascii")


def parse_public_key(text: str) -> bytes:
    """Read a public key from its line of text.

    >>> parse_public_key(public_key_text(bytes(32))) == bytes(32)
    True

    Raises:
        CustodianKeyError: it is none.
    """
    stripped = text.strip()
    try:
        key = base64.b64decode(stripped.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not stripped.startswith(_PREFIX) or len(key) != KEY_BYTES:
        raise CustodianKeyError(f"a custodian's public key is {_PREFIX} and the base64 of 32 bytes")
    return key


class CustodianKey:
    """A custodian's private key. Its `repr` shows the fingerprint, never the key."""

    def __init__(self, private: bytes) -> None:
        self._private = private

    @staticmethod
    def create() -> CustodianKey:
        """Make a new one from the operating system's generator."""
        return CustodianKey(new_key_pair()[0])

    @property
    def public_key(self) -> bytes:
        """The half that everybody may have: 32 bytes."""
        return public_key_of(self._private)

    @property
    def private(self) -> bytes:
        """The half that opens envelopes."""
        return self._private

    def __repr__(self) -> str:
        return f"CustodianKey({fingerprint(self.public_key)})"

    def save(self, path: Path, passphrase: bytes | None = None) -> None:
        """Write the key to a new PEM file with permissions 0600.

        Raises:
            CustodianKeyError: the file exists, cannot be written, or the passphrase is empty.
        """
        if passphrase is not None and not passphrase:
            raise CustodianKeyError("the passphrase is empty; give one, or none at all")
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase is not None:
            encryption = serialization.BestAvailableEncryption(passphrase)
        pem = X25519PrivateKey.from_private_bytes(self._private).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
        )
        try:
            write_whole(path, pem, mode=0o600, replace=False)
        except FileExistsError:
            raise CustodianKeyError(f"{path} exists already; a key is never overwritten") from None
        except OSError as error:
            raise CustodianKeyError(f"{path} cannot be written: {error.strerror}") from None

    @staticmethod
    def load(path: Path, passphrase: bytes | None = None) -> CustodianKey:
        """Read a key from a PEM file that its owner alone may read.

        Raises:
            CustodianKeyError: the file is missing, others may read it, it is no such key, or it needs another passphrase.
        """
        try:
            with open_regular(path, follow=True) as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                if mode & 0o077:
                    raise CustodianKeyError(f"{path} has permissions {mode:04o}, expected 0600: others may read it")
                unverified = file.read(_LIMIT)
        except FileNotFoundError:
            raise CustodianKeyError(f"there is no custodian's key at {path}") from None
        except NotRegularFileError as error:
            raise CustodianKeyError(str(error)) from None
        except OSError as error:
            raise CustodianKeyError(f"{path} cannot be read: {error.strerror}") from None
        try:
            private = serialization.load_pem_private_key(unverified, passphrase)
        except TypeError:
            needs = "needs a passphrase" if passphrase is None else "has no passphrase, but one was given"
            raise CustodianKeyError(f"{path} {needs}") from None
        except (ValueError, UnsupportedAlgorithm):
            reason = "is not a PEM private key" if passphrase is None else "does not open with this passphrase"
            raise CustodianKeyError(f"{path} {reason}") from None
        if not isinstance(private, X25519PrivateKey):
            raise CustodianKeyError(f"{path} holds another kind of key, expected X25519")
        return CustodianKey(private.private_bytes_raw())
