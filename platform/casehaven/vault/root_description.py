"""What every root key can do, and how a keystore describes the one that it is wrapped with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from casehaven.vault.context import SealContext
from casehaven.vault.errors import RootKeyError
from casesynth.canonical import JsonValue

ROOT_WRAP_VERSION: Final = 1

Description = Mapping[str, JsonValue]
"""Public parameters of a root key, as a keystore keeps them."""


class RootKey(Protocol):
    """A root key, wherever it is kept."""

    @property
    def version(self) -> int:
        """Version of the way in which it wraps."""
        ...

    @property
    def kind(self) -> str:
        """`key`, `passphrase` or `pkcs11`."""
        ...

    def description(self) -> Description:
        """The public parameters that a keystore keeps."""
        ...

    def fresh(self) -> RootKey:
        """This root key, with new parameters for a new keystore."""
        ...

    def bound(self, unverified: Description) -> RootKey:
        """This root key, with the parameters of an existing keystore."""
        ...

    def wrap(self, key: bytes, context: SealContext) -> bytes:
        """Encrypt a key of the keystore."""
        ...

    def unwrap(self, wrapped: bytes, context: SealContext) -> bytes:
        """Decrypt a key of the keystore."""
        ...


def expect_kind(kind: str, unverified: Description, fields: set[str]) -> None:
    """Check that a keystore's description is one of this kind of root key."""
    if unverified.get("kind") != kind:
        there = unverified.get("kind")
        named = there if there in ("key", "passphrase", "pkcs11") else "unknown"
        raise RootKeyError(f"the keystore's root key is of the kind {named!r}; the one given is of the kind {kind!r}")
    if set(unverified) != fields:
        raise RootKeyError("the keystore describes its root key in a way that is not known; it was changed")
