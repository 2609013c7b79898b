"""Guesses: how often somebody may try, and how nobody is locked out for good.

1. A guess is counted before it is looked at, in the same transaction that lets it through. Guesses at the same moment are counted like guesses one after the other.
2. After a few free ones every further guess doubles the wait, up to a limit. A guess that comes during the wait is not looked at, is not counted and makes the wait no longer.
3. It is counted for the account, known or not, and for the network address (one address of IPv4, 64 bits of IPv6). Who spreads guesses over addresses waits for the account, who
   spreads them over accounts waits for the address.
4. A browser in which the member has signed in before (a *device*, known by a cookie of 256 random bits) has its own count in the place of both. So whoever guesses from elsewhere
   keeps nobody out of an account in the browser they use every day. And a passkey cannot be guessed, so no wait ever holds it up. What an attack that goes on can do is make
   a password from a new browser wait: a quarter of an hour at most for each try.
5. What is right wipes the counts of account and device. An address gets back the guess that it paid, and no more: an attacker's own account buys no further guesses.
6. Counts are forgotten a day after the last guess. Handles and addresses are stored as keyed hashes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from casehaven.core.addresses import network_of
from casehaven.organisations.models import member as member_table
from casehaven.signin.errors import TooManyGuessesError
from casehaven.signin.models import device, guess
from casehaven.signin.secrets_made import digest, new_value
from casehaven.signin.sign_in_key import SignInKey

FORGET_SECONDS: Final = 86_400
DEVICE_SECONDS: Final = 90 * 86_400


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How many guesses are free, and how long one waits after them."""

    free: int
    limit_seconds: int
    """The longest wait."""

    def wait_after(self, failures: int) -> int:
        """Return how long to wait after this many guesses, in seconds.

        >>> [Patience(free=2, limit_seconds=5).wait_after(count) for count in (1, 2, 3, 4, 5, 6)]
        [0, 0, 2, 4, 5, 5]
        """
        over = failures - self.free
        return 0 if over <= 0 else min(2 ** min(over, 30), self.limit_seconds)


ACCOUNT: Final = Patience(free=5, limit_seconds=900)
ADDRESS: Final = Patience(free=20, limit_seconds=3_600)
DEVICE: Final = Patience(free=10, limit_seconds=900)


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What one guess is counted for."""

    keys: tuple[tuple[bytes, Patience], ...]


def counted(
    connection: Connection, now: int, key: SignInKey, *, account: str | None, address: str, device_value: str | None
) -> Counted:
    """Return what a guess is counted for (rules 3 and 4).

    Args:
        connection: of a transaction.
        now: seconds since 1970, UTC.
        key: hashes names and addresses.
        account: the handle that was typed; None for a code that names nobody.
        address: of the network, as the server sees it.
        device_value: of the cookie that tells a browser that was used before; None without it.
    """
    if account is not None and device_value is not None and _knows(connection, now, account, device_value):
        return Counted(keys=((key.digest("device", device_value), DEVICE),))
    keys = [(key.digest("address", network_of(address)), ADDRESS)]
    if account is not None:
        keys.append((key.digest("account", account), ACCOUNT))
    return Counted(keys=tuple(keys))


def counted_step_up(key: SignInKey, member: str) -> Counted:
    """Return what a guess of somebody who is signed in is counted for: a count of its own, so that nobody from outside can use it up."""
    return Counted(keys=((key.digest("step-up", member), DEVICE),))


def admit(connection: Connection, now: int, what: Counted) -> None:
    """Count a guess and let it through; call it in a writing transaction of its own, before the guess is looked at (rule 1).

    Raises:
        TooManyGuessesError: it comes during a wait; nothing was counted (rule 2).
    """
    connection.execute(delete(guess).where(guess.c.touched_at <= now - FORGET_SECONDS))
    rows = {
        bytes(row.key): row
        for row in connection.execute(select(guess).where(guess.c.key.in_([key for key, _ in what.keys])))
    }
    wait = max((row.blocked_until - now for row in rows.values()), default=0)
    if wait > 0:
        raise TooManyGuessesError(wait)
    for key, patience in what.keys:
        failures = rows[key].failures + 1 if key in rows else 1
        values = {"failures": failures, "blocked_until": now + patience.wait_after(failures), "touched_at": now}
        if key in rows:
            connection.execute(update(guess).where(guess.c.key == key).values(**values))
        else:
            connection.execute(insert(guess).values(key=key, **values))


def forgive(connection: Connection, what: Counted) -> None:
    """Wipe the counts of somebody who was right, in the transaction that lets them in (rule 5)."""
    for key, patience in what.keys:
        if patience is ADDRESS:
            connection.execute(
                update(guess)
                .where(guess.c.key == key, guess.c.failures > 0)
                .values(failures=guess.c.failures - 1, blocked_until=0)
            )
        else:
            connection.execute(delete(guess).where(guess.c.key == key))


def remember_device(connection: Connection, now: int, member: str) -> str:
    """Return a new value for the cookie of a browser in which a member has signed in (rule 4)."""
    value = new_value()
    connection.execute(delete(device).where(device.c.ends_at <= now))
    connection.execute(
        insert(device).values(digest=digest("device", value), member=member, ends_at=now + DEVICE_SECONDS)
    )
    return value


def forget_devices(connection: Connection, member: str) -> None:
    """Let no browser be known to a member any more."""
    connection.execute(delete(device).where(device.c.member == member))


def _knows(connection: Connection, now: int, account: str, device_value: str) -> bool:
    return (
        connection.execute(
            select(device.c.digest)
            .join(member_table, member_table.c.id == device.c.member)
            .where(
                device.c.digest == digest("device", device_value),
                device.c.ends_at > now,
                member_table.c.handle == account,
            )
        ).first()
        is not None
    )
