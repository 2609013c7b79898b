"""The key of sign-in: a file beside the database that seals the secrets of codes and is mixed into every password's hash.

1. 32 random bytes in the file `signin.key` of the service folder, readable by its owner only. It is never in the database, and a copy of the database without it
   guesses no password and makes no code.
2. What it does comes from HKDF-SHA256 with a name for each use, so that no use says anything about another.
3. A secret is sealed with AES-256-GCM under a random nonce and bound to the member it belongs to: moved to another member's row it does not open.
4. A file that others may read is refused.
5. It is made once, for a store that has no member yet. Where it is missing later nothing is made in its place: under another key no stored password or code would be right, and
   nobody would say why.
6. It has nothing to do with the vault: it opens no case record.
"""

from __future__ import annotations

import hmac
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from casehaven.signin.errors import SignInKeyError
from casesynth._files import write_whole

_TEXT: Final = re.compile(r"casehaven-sign-in-key/1:([0-9a-f]{64})\n?")
_NONCE_BYTES: Final = 12


@dataclass(frozen=True, kw_only=True)
class SignInKey:
    """What seals and peppers the secrets of sign-in (rule 1)."""

    key: bytes = field(repr=False)
    """32 random bytes."""

    @classmethod
    def create(cls) -> SignInKey:
        """Make a key that is stored nowhere yet."""
        return cls(key=os.urandom(32))

    @classmethod
    def load_or_create(cls, path: Path, *, create: bool = True) -> SignInKey:
        """Read the key from its file; make both when there is no file.

        Args:
            path: of the file.
            create: whether it may be made: the store has no member yet (rule 5).

        Raises:
            SignInKeyError: the file is missing and may not be made, is no such key, or others may read it.
        """
        if not create:
            if not os.path.lexists(path):
                raise SignInKeyError(
                    f"{path.name} is missing, and members sign in with it; nothing is made in its place"
                )
            return cls._load(path)
        made = cls.create()
        try:  # whole or not at all: a start that was cut short leaves no key that is none
            write_whole(path, f"casehaven-sign-in-key/1:{made.key.hex()}\n".encode("ascii"), mode=0o600, replace=False)
        except FileExistsError:
            return cls._load(path)
        except OSError as error:
            raise SignInKeyError(f"{path} cannot be created: {error.strerror}") from None
        return made

    @classmethod
    def _load(cls, path: Path) -> SignInKey:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise SignInKeyError(f"{path} cannot be read: {error.strerror}") from None
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
                raise SignInKeyError(f"{path} must be a file that only its owner may read (chmod 600)")
            found = _TEXT.fullmatch(file.read(200).decode("ascii", "replace"))
        if found is None:
            raise SignInKeyError(f"{path} is no key of sign-in")
        return cls(key=bytes.fromhex(found[1]))

    def pepper(self) -> bytes:
        """Return the secret that is mixed into every password's hash."""
        return self._derived(b"password")

    def digest(self, kind: str, value: str) -> bytes:
        """Return a keyed hash of something that is counted and not to be read: an address, a handle."""
        return hmac.digest(self._derived(b"guess"), f"{kind}\0{value}".encode(), "sha256")

    def seal(self, member: str, secret: bytes) -> bytes:
        """Seal a member's secret (rule 3)."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + AESGCM(self._derived(b"secret")).encrypt(nonce, secret, member.encode())

    def open(self, member: str, sealed: bytes) -> bytes:
        """Open a member's secret.

        Raises:
            SignInKeyError: it was sealed under another key, for another member, or changed.
        """
        try:
            return AESGCM(self._derived(b"secret")).decrypt(
                sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], member.encode()
            )
        except (InvalidTag, ValueError):
            raise SignInKeyError("a stored secret of sign-in does not open with this key") from None

    def _derived(self, use: bytes) -> bytes:
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"casehaven-sign-in/1 " + use).derive(self.key)
