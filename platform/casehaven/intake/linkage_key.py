"""The linkage key of an agreement: the secret under which its partners make person tokens, each at home.

1. 32 bytes from the operating system's generator, in a file that its owner alone may read. It is given from partner to partner, never to the server: with it, whoever
   holds tokens could try names.
2. A file holds one line, `casehaven-linkage-key/1:` and 64 hexadecimal digits. An existing file is never replaced.
3. The fingerprint says nothing about the key. Partners compare it: tokens under different keys never meet.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from casehaven.intake.errors import LinkageKeyError
from casehaven.vault.context import prefixed
from casehaven.vault.sealed import KEY_BYTES, new_key
from casesynth._files import FileTooLargeError, NotRegularFileError, read_regular, write_whole

__all__ = ["LinkageKey", "create_linkage_key", "read_linkage_key"]

_MARK: Final = "casehaven-linkage-key/1:"
_LINE: Final = re.compile(re.escape(_MARK) + "([0-9a-f]{64})\n?")
_MOST: Final = 1024


@dataclass(frozen=True, kw_only=True)
class LinkageKey:
    """The linkage key of an agreement."""

    key: bytes = field(repr=False)
    """32 bytes."""

    @property
    def fingerprint(self) -> str:
        """What partners compare (rule 3)."""
        digest = hashlib.sha256(self.digest("casehaven-linkage-fingerprint/1")).digest()
        return f"SHA256:{base64.b64encode(digest).decode('ascii').rstrip('=')}"

    def digest(self, label: str, *parts: bytes) -> bytes:
        """HMAC-SHA256 under the key over a label and parts, each after its length."""
        said = prefixed(label.encode("utf-8")) + b"".join(map(prefixed, parts))
        return hmac.digest(self.key, said, "sha256")


def create_linkage_key(path: Path) -> LinkageKey:
    """Make a key and write it to a new file with permissions 0600.

    Raises:
        LinkageKeyError: the file exists or cannot be written.
    """
    made = LinkageKey(key=new_key())
    try:
        write_whole(path, f"{_MARK}{made.key.hex()}\n".encode("ascii"), mode=0o600, replace=False)
    except FileExistsError:
        raise LinkageKeyError(f"{path} exists already; a linkage key is never overwritten") from None
    except OSError as error:
        raise LinkageKeyError(f"{path} cannot be written: {error.strerror}") from None
    return made


def read_linkage_key(path: Path) -> LinkageKey:
    """Read a key.

    Raises:
        LinkageKeyError: the file is not there, others may read it, or it holds no linkage key.
    """
    try:
        text = read_regular(path, limit=_MOST).decode("ascii", "replace")
        shared = path.stat().st_mode & 0o077
    except OSError as error:
        raise LinkageKeyError(f"{path} cannot be read: {error.strerror}") from None
    except (FileTooLargeError, NotRegularFileError):
        raise LinkageKeyError(f"{path} is not a plain small file; expected a linkage key") from None
    found = _LINE.fullmatch(text)
    if found is None:
        raise LinkageKeyError(f"{path} holds no linkage key; expected one line that begins with {_MARK}")
    if shared:
        raise LinkageKeyError(f"{path} can be read by others than its owner; run: chmod 600 {path}")
    key = bytes.fromhex(found[1])
    if len(key) != KEY_BYTES:
        raise LinkageKeyError(f"{path}: a linkage key has {KEY_BYTES} bytes")
    return LinkageKey(key=key)
