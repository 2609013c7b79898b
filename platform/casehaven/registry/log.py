"""The public log of a registry, `casehaven-registry-log/1`: what was published and withdrawn, in order, signed.

1. Each entry is canonical JSON with the SHA-256 of the entry before it, or 64 zeros for the first. So no entry can be changed, left out or put in between without changing all that follow.
2. Each entry is signed by the key that signs the releases, with a prefix of its own. Whoever has that key in a trust store checks the whole log offline.
3. That the end of a log was cut off cannot be seen from the log alone: `head` is what two readers compare, or one reader at two times. The worker compares it with the vault's audit log before it adds anything.
4. An entry names no contributor, no member and no count.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from casehaven.registry.errors import RegistryLogError
from casehaven.registry.identifiers import RECORD
from casesynth._files import FileTooLargeError, NotRegularFileError, read_regular
from casesynth.canonical import JsonFaultError, JsonValue, canonical_json, parse_json
from casesynth.signing import BadSignatureError, PublicKey, PublicKeyError, SigningKey, verify_registry_entry

FORMAT: Final = "casehaven-registry-log/1"
FIRST: Final = "0" * 64
"""In the place of the entry before the first one."""

LINE_MOST: Final = 8_192
_FILE_MOST: Final = 1 << 28
Kind = Literal["published", "withdrawn"]

_FIELDS: Final = frozenset(
    {"format", "position", "previous", "at", "kind", "record", "title", "manifest_sha256", "reason"}
)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_DAY: Final = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


@dataclass(frozen=True, kw_only=True)
class SignedEntry:
    """One entry with its signature."""

    entry: Mapping[str, Any]
    public_key: PublicKey
    signature: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the entry's canonical bytes: what the next entry holds."""
        return hashlib.sha256(canonical_json(dict(self.entry))).hexdigest()

    def document(self) -> dict[str, Any]:
        """Return it as a line of the log holds it."""
        return {
            "entry": dict(self.entry),
            "public_key": self.public_key.text,
            "signature": base64.b64encode(self.signature).decode("ascii"),
        }


def new_entry(
    before: SignedEntry | None,
    key: SigningKey,
    *,
    at: str,
    kind: Kind,
    record: str,
    title: str,
    manifest_sha256: str,
    reason: str | None,
) -> SignedEntry:
    """Return the next entry, signed.

    Args:
        before: the last entry; None for the first.
        key: of the releases.
        at: when, such as `2026-11-23T09:00:00Z`.
        kind: what happened.
        record: to which version.
        title: of the release.
        manifest_sha256: of the bundle as it is signed now.
        reason: of a withdrawal.
    """
    entry: dict[str, JsonValue] = {
        "format": FORMAT,
        "position": 0 if before is None else int(before.entry["position"]) + 1,
        "previous": FIRST if before is None else before.digest,
        "at": at,
        "kind": kind,
        "record": record,
        "title": title,
        "manifest_sha256": manifest_sha256,
        "reason": reason,
    }
    return SignedEntry(entry=entry, public_key=key.public_key, signature=key.sign_registry_entry(canonical_json(entry)))


def parse_line(unverified: bytes) -> SignedEntry:
    """Read a line of a log; its form alone, `verify_log` checks what it says.

    Raises:
        RegistryLogError: it is not an entry.
    """
    try:
        found = parse_json(unverified, "the log")
    except JsonFaultError:
        raise RegistryLogError("a line of the log is not JSON with one meaning") from None
    if len(unverified) > LINE_MOST or not isinstance(found, dict) or set(found) != {"entry", "public_key", "signature"}:
        raise RegistryLogError("a line of the log is not an entry with its key and its signature")
    entry = found["entry"]
    if not isinstance(entry, dict) or set(entry) != _FIELDS or entry["format"] != FORMAT:
        raise RegistryLogError(f"a line of the log is not {FORMAT}")
    texts = [entry[name] for name in ("previous", "at", "kind", "record", "title", "manifest_sha256")]
    if type(entry["position"]) is not int or not all(isinstance(text, str) for text in texts):
        raise RegistryLogError("an entry of the log holds something of another kind than expected")
    good = (
        _SHA256.fullmatch(entry["previous"])
        and _SHA256.fullmatch(entry["manifest_sha256"])
        and _DAY.fullmatch(entry["at"])
        and RECORD.fullmatch(entry["record"])
        and entry["kind"] in ("published", "withdrawn")
        and (isinstance(entry["reason"], str) if entry["kind"] == "withdrawn" else entry["reason"] is None)
    )
    if not good:
        raise RegistryLogError(f"the entry at position {entry['position']} has a field of another form than expected")
    try:
        key = PublicKey.parse(str(found["public_key"]))
        signature = base64.b64decode(str(found["signature"]).encode("ascii"), validate=True)
    except (PublicKeyError, UnicodeEncodeError, binascii.Error):
        raise RegistryLogError("key and signature of an entry must be base64") from None
    return SignedEntry(entry=entry, public_key=key, signature=signature)


def read_log(path: Path) -> tuple[SignedEntry, ...]:
    """Read and verify the file of a log, one entry a line.

    Raises:
        RegistryLogError: it cannot be read, or is not whole.
    """
    try:
        data = read_regular(path, limit=_FILE_MOST, follow=True)
    except (NotRegularFileError, FileTooLargeError) as error:
        raise RegistryLogError(str(error)) from None
    except OSError as error:
        raise RegistryLogError(f"{path} cannot be read: {error.strerror}") from None
    lines = data.split(b"\n")
    if lines.pop() != b"":
        raise RegistryLogError("the last line of the log is cut off")
    return verify_log(parse_line(line) for line in lines)


def verify_log(unverified: Iterable[SignedEntry]) -> tuple[SignedEntry, ...]:
    """Return the entries of a log when it is whole from its first entry on: order, chain, signatures, and one meaning of every record.

    Whose keys these are is for the caller to look up.

    Raises:
        RegistryLogError: says the position.
    """
    checked: list[SignedEntry] = []
    known: dict[str, str] = {}
    for position, each in enumerate(unverified):
        entry = each.entry
        previous = checked[-1].digest if checked else FIRST
        if entry["position"] != position or entry["previous"] != previous:
            raise RegistryLogError(f"position {position} of the log does not follow from what is before it")
        if checked and entry["at"] < checked[-1].entry["at"]:
            raise RegistryLogError(f"position {position} of the log is dated before the one before it")
        try:
            verify_registry_entry(each.public_key, each.signature, canonical_json(dict(entry)))
        except BadSignatureError:
            raise RegistryLogError(f"the signature of position {position} of the log does not fit") from None
        expected = None if entry["kind"] == "published" else "published"
        if known.get(entry["record"]) != expected:
            raise RegistryLogError(
                f"position {position} of the log publishes twice, or withdraws what was not published"
            )
        known[entry["record"]] = entry["kind"]
        checked.append(each)
    return tuple(checked)


def head(entries: Sequence[SignedEntry]) -> str:
    """Return what two readers compare: the number of entries, and the SHA-256 of the last one (rule 3).

    >>> head([])
    '0 entries'
    """
    return "0 entries" if not entries else f"{len(entries)} entries, the last {entries[-1].digest}"
