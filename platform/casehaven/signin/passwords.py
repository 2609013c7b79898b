"""Passwords: which are taken, and how they are stored.

1. A password is 12 to 256 characters of Unicode in form NFC; every character counts as one, spaces too; nothing is cut off or turned into something else. No kinds of
   characters are asked for, and no password expires by date (NIST SP 800-63B-4, section 3.1.1; its minimum is 8 beside a second factor).
2. What anybody would try first is refused: a password of which less than six different letters or digits remain when the worst words (`worst_passwords.txt`), the member's handle, the
   organisation's name, years, and runs such as `1234`, `abcd` or `aaaa` are taken away.
3. Stored is Argon2id (RFC 9106) with 64 MiB, three passes and one lane, a random salt of 16 bytes, the member's id as associated data, and a key that is not in the database as its
   secret. The parameters stand beside it, so that they can grow.
4. Whoever is unknown, and whoever has no password, costs the same work as a wrong password.
"""

from __future__ import annotations

import hmac
import os
import re
import unicodedata
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Final

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from sqlalchemy import Connection, delete, insert, select

from casehaven.signin.errors import WeakPasswordError
from casehaven.signin.models import password
from casehaven.signin.site import Site

CHARACTERS_MIN: Final = 12
CHARACTERS_MAX: Final = 256
MEMORY_KIB: Final = 65_536
ITERATIONS: Final = 3
LANES: Final = 1

_LEFT_MIN: Final = 6
_BYTES: Final = 32
_RUNS: Final = (
    "0123456789",
    "9876543210",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertzuiop",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
)
_RUN: Final = 3
_YEAR: Final = re.compile(r"(?:19|20)[0-9]{2}")
_LOOKALIKE: Final = str.maketrans("0134578@$!", "oleastbasi")


def check_new_password(unverified: str, *context: str) -> str:
    """Return a password that may be taken, in form NFC (rules 1 and 2).

    Args:
        unverified: as it was typed.
        context: words that are known of the member: handle, organisation.

    Raises:
        WeakPasswordError: says which rule, and never the password.
    """
    text = normal(unverified)
    if not CHARACTERS_MIN <= len(text) <= CHARACTERS_MAX:
        raise WeakPasswordError(f"a password has {CHARACTERS_MIN} to {CHARACTERS_MAX} characters")
    if _left(text, context) < _LEFT_MIN:
        raise WeakPasswordError("this is among the first passwords that anybody would try")
    return text


def normal(unverified: str) -> str:
    """Return what was typed in form NFC: the same password from every keyboard.

    Raises:
        WeakPasswordError: it holds half a character, which no keyboard types.
    """
    text = unicodedata.normalize("NFC", unverified)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise WeakPasswordError("a password is made of characters of Unicode")
    return text


@dataclass(frozen=True, kw_only=True)
class StoredPassword:
    """A password as the database keeps it (rule 3)."""

    salt: bytes
    memory_kib: int
    iterations: int
    lanes: int
    hash: bytes

    def matches(self, site: Site, member: str, text: str) -> bool:
        """Tell in constant time whether this is the password; takes a place at the gate.

        Raises:
            SignInBusyError: too many people are signing in.
        """
        with site.gate.entered():
            return hmac.compare_digest(self._derived(site, member, text), self.hash)

    def _derived(self, site: Site, member: str, text: str) -> bytes:
        return Argon2id(
            salt=self.salt,
            length=_BYTES,
            iterations=self.iterations,
            lanes=self.lanes,
            memory_cost=self.memory_kib,
            ad=member.encode(),
            secret=site.key.pepper(),
        ).derive(text.encode())


def hash_password(site: Site, member: str, text: str) -> StoredPassword:
    """Hash a password that was checked, with today's parameters; outside of any transaction, because it takes a while.

    Raises:
        SignInBusyError: too many people are signing in.
    """
    fresh = _fresh(b"")
    with site.gate.entered():
        return replace(fresh, hash=fresh._derived(site, member, text))


def nobodys_password() -> StoredPassword:
    """Return a password that nothing matches, and that costs as much to try as any other (rule 4)."""
    return _fresh(os.urandom(_BYTES))


def store_password(connection: Connection, now: int, member: str, stored: StoredPassword) -> None:
    """Store a member's password in the place of the one before."""
    connection.execute(delete(password).where(password.c.member == member))
    connection.execute(insert(password).values(member=member, set_at=now, **vars(stored)))


def stored_password(connection: Connection, member: str) -> StoredPassword | None:
    """Return a member's password; None when they have none."""
    row = connection.execute(select(password).where(password.c.member == member)).first()
    if row is None:
        return None
    return StoredPassword(
        salt=bytes(row.salt),
        memory_kib=row.memory_kib,
        iterations=row.iterations,
        lanes=row.lanes,
        hash=bytes(row.hash),
    )


def _fresh(hashed: bytes) -> StoredPassword:
    return StoredPassword(salt=os.urandom(16), memory_kib=MEMORY_KIB, iterations=ITERATIONS, lanes=LANES, hash=hashed)


def _left(text: str, context: tuple[str, ...]) -> int:
    """How many characters remain when everything that is tried first is taken away, in the reading that leaves the fewest."""
    words = [
        *(word for given in context for word in re.split(r"[^\w]+", given.casefold()) if len(word) >= _RUN),
        *_worst(),
    ]
    words.sort(key=len, reverse=True)
    folded = text.casefold()
    return min(_left_of(reading, words) for reading in (folded, folded.translate(_LOOKALIKE)))


def _left_of(text: str, words: list[str]) -> int:
    for word in words:
        text = text.replace(word, " ")
    text = _YEAR.sub(" ", text)
    text = re.sub(r"(.+?)\1{2,}", " ", text)  # one thing three times or more
    for run in _RUNS:
        for length in range(len(run), _RUN - 1, -1):
            for start in range(len(run) - length + 1):
                text = text.replace(run[start : start + length], " ")
    return len(set(re.sub(r"[\W_]", "", text)))


@cache
def _worst() -> tuple[str, ...]:
    listed = files("casehaven.signin").joinpath("worst_passwords.txt").read_text(encoding="utf-8").split()
    return tuple(unicodedata.normalize("NFC", word).casefold() for word in listed)
