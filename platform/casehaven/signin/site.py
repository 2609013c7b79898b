"""The place where people sign in: its database, its key, its clock, and the address that browsers know it by.

1. The address (*origin*) is HTTPS, or HTTP on `localhost`: browsers keep cookies and passkeys safe at no other.
2. Passkeys are bound to the host of that address (*rp id*). A look-alike page at another address gets nothing that works here.
3. Time comes from `clock` alone, so that every limit can be tested without waiting.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from casehaven.core.db import Database
from casehaven.signin.errors import OriginError
from casehaven.signin.password_gate import PasswordGate
from casehaven.signin.sign_in_key import SignInKey

Clock = Callable[[], int]
"""Seconds since 1970, UTC."""

_ORIGIN: Final = re.compile(r"(https?)://([a-z0-9.-]{1,253})(?::[0-9]{1,5})?")
_ADDRESS: Final = re.compile(r"[0-9.]+")


def utc_now() -> int:
    """The clock of the computer."""
    return int(time.time())


@dataclass(frozen=True, kw_only=True)
class Site:
    """What all of sign-in needs to know about where it runs.

    >>> from casehaven.signin.sign_in_key import SignInKey
    >>> Site(database=None, key=SignInKey.create(), origin="https://cases.example").rp_id  # type: ignore[arg-type]  # no database
    'cases.example'
    """

    database: Database
    """Of the service store."""
    key: SignInKey = field(repr=False)
    """Seals and peppers; not in the database."""
    origin: str
    """Such as `https://cases.example` or `http://localhost:8080`."""
    clock: Clock = utc_now
    """Says what time it is."""
    gate: PasswordGate = field(default_factory=PasswordGate, repr=False)
    """How many passwords are hashed at once."""

    def __post_init__(self) -> None:
        """Check the address (rule 1)."""
        found = _ORIGIN.fullmatch(self.origin)
        if found is None or _ADDRESS.fullmatch(found[2]):
            raise OriginError(
                f"{self.origin} is no address that browsers sign in at: expected https://NAME, or http://localhost:PORT"
            )
        if found[1] == "http" and found[2] != "localhost":
            raise OriginError(f"{self.origin} is not protected: expected https://, or http://localhost:PORT")

    @property
    def rp_id(self) -> str:
        """The host that passkeys are bound to (rule 2)."""
        found = _ORIGIN.fullmatch(self.origin)
        assert found is not None
        return found[2]

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Run a transaction that reads."""
        with self.database.transaction(writes=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Run a transaction that writes; writers follow one another."""
        with self.database.transaction(writes=True) as connection:
            yield connection
