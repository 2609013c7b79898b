"""A secret in shares: any m of n holders together have it, fewer know nothing of it.

1. For every group of m holders the secret is split anew: m - 1 random shares, and the exclusive or of those with the secret. A group has the secret
   when it puts its m shares together; whoever lacks one of them has only random bytes. That is the whole proof.
2. It needs nothing but the operating system's generator, at the price of size: n is at most 7, so a holder has at most 20 shares.
3. A share has a digest, so that one that was made up is found. A share is 32 random bytes: its digest tells nothing of it.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from casehaven.vault.context import prefixed
from casehaven.vault.errors import EscrowError
from casehaven.vault.sealed import KEY_BYTES

HOLDERS_MAX: Final = 7
_LABEL: Final = prefixed(b"casehaven-escrow-share/1")


@dataclass(frozen=True, kw_only=True)
class Sharing:
    """How many holders there are and how many of them are needed."""

    holders: int
    """n, from 2 to 7; they are numbered from 0."""
    threshold: int
    """m, from 2 to n."""

    def __post_init__(self) -> None:
        if not 2 <= self.threshold <= self.holders <= HOLDERS_MAX:
            raise EscrowError(f"escrow takes m of n custodians with 2 <= m <= n <= {HOLDERS_MAX}")

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """All groups of m holders, in lexicographic order.

        >>> Sharing(holders=3, threshold=2).groups
        ((0, 1), (0, 2), (1, 2))
        """
        return tuple(itertools.combinations(range(self.holders), self.threshold))

    def groups_of(self, holder: int) -> tuple[tuple[int, ...], ...]:
        """The groups that a holder is in; one share each."""
        return tuple(group for group in self.groups if holder in group)


@dataclass(frozen=True, kw_only=True)
class Split:
    """A secret that was split."""

    shares: tuple[tuple[bytes, ...], ...] = field(repr=False)
    """For each holder the shares of the holder's groups, in their order."""
    digests: tuple[tuple[str, ...], ...]
    """The digest of each share, in the same order."""


def split(secret: bytes, sharing: Sharing) -> Split:
    """Split 32 bytes (rule 1).

    >>> sharing = Sharing(holders=3, threshold=2)
    >>> made = split(bytes(32), sharing)
    >>> joined(sharing, {2: made.shares[2], 0: made.shares[0]}, made.digests) == bytes(32)
    True
    """
    if len(secret) != KEY_BYTES:
        raise EscrowError(f"what is split has {KEY_BYTES} bytes")
    of: list[list[bytes]] = [[] for _ in range(sharing.holders)]
    for group in sharing.groups:
        made = [os.urandom(KEY_BYTES) for _ in group[1:]]
        for holder, share in zip(group, [*made, _xor([*made, secret])], strict=True):
            of[holder].append(share)
    shares = tuple(tuple(each) for each in of)
    return Split(shares=shares, digests=tuple(tuple(digest(share) for share in each) for each in shares))


def joined(sharing: Sharing, shares: Mapping[int, Sequence[bytes]], digests: Sequence[Sequence[str]]) -> bytes | None:
    """Put shares together; None when fewer than m holders gave shares with the right digests.

    Args:
        sharing: of the secret.
        shares: by holder, each holder's in the order of `groups_of`.
        digests: those of `split`.
    """
    true = {holder for holder, given in shares.items() if is_true(sharing, holder, given, digests)}
    for group in sharing.groups:
        if true.issuperset(group):
            return _xor([shares[holder][sharing.groups_of(holder).index(group)] for holder in group])
    return None


def is_true(sharing: Sharing, holder: int, given: Sequence[bytes], digests: Sequence[Sequence[str]]) -> bool:
    """Whether these are the holder's shares (rule 3)."""
    return 0 <= holder < sharing.holders and [digest(share) for share in given] == list(digests[holder])


def digest(share: bytes) -> str:
    """The digest of a share, in hexadecimal digits."""
    return hashlib.sha256(_LABEL + prefixed(share)).hexdigest()


def _xor(parts: Sequence[bytes]) -> bytes:
    total = 0
    for part in parts:
        total ^= int.from_bytes(part, "big")
    return total.to_bytes(KEY_BYTES, "big")
