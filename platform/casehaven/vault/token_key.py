"""A root key in a token behind PKCS#11, which it never leaves.

1. The token computes HMAC-SHA256 over the salt and the context of each wrapping. The result wraps one key of the keystore and nothing else.
2. The key is a generic secret of 32 bytes, marked as sensitive and not extractable.
3. A token knows one login for all threads of a process: each operation logs in and out again, one at a time.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from casehaven.vault.context import SealContext, prefixed
from casehaven.vault.errors import RootKeyProviderError
from casehaven.vault.root_description import ROOT_WRAP_VERSION, Description, expect_kind
from casehaven.vault.sealed import KEY_BYTES, unwrap_key, wrap_key

_SALT_BYTES: Final = 32
_LABEL: Final = prefixed(b"casehaven-vault-pkcs11/1")
_ONE_LOGIN: Final = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Pkcs11Key:
    """A root key in a token behind PKCS#11 (rule 1)."""

    token: str
    """Label of the token."""
    label: str
    """Label of the key in the token."""
    mac: Callable[[bytes], bytes] = field(repr=False, compare=False)
    """HMAC-SHA256 in the token."""
    version: int = ROOT_WRAP_VERSION
    """See `RootKey`."""
    kind: str = "pkcs11"
    """See `RootKey`."""

    def description(self) -> Description:
        """The labels of token and key."""
        return {"kind": self.kind, "token": self.token, "label": self.label}

    def fresh(self) -> Pkcs11Key:
        """The same: it has no parameters of its own."""
        return self

    def bound(self, unverified: Description) -> Pkcs11Key:
        """The same, if the keystore expects a key in a token. The labels are a help to people; the key itself decides."""
        expect_kind(self.kind, unverified, {"kind", "token", "label"})
        return self

    def wrap(self, key: bytes, context: SealContext) -> bytes:
        """Wrap with a key that the token makes for this wrapping alone."""
        salt = os.urandom(_SALT_BYTES)
        return salt + wrap_key(self._once(salt, context), key, context)

    def unwrap(self, wrapped: bytes, context: SealContext) -> bytes:
        """Unwrap with the key that the token makes for this wrapping."""
        salt, body = wrapped[:_SALT_BYTES], wrapped[_SALT_BYTES:]
        return unwrap_key(self._once(salt, context), body, context)

    def _once(self, salt: bytes, context: SealContext) -> bytes:
        return self.mac(_LABEL + prefixed(salt) + context.encode())


def pkcs11_key(library: str, token: str, label: str, pin: str) -> Pkcs11Key:
    """A root key in a token.

    Args:
        library: path of the token's PKCS#11 library.
        token: label of the token.
        label: label of the key.
        pin: the user's PIN.

    Raises:
        RootKeyProviderError: library, token or key are not there, or the PIN is wrong.
    """
    return token_key(library, token, label, pin, create=False)


def create_pkcs11_key(library: str, token: str, label: str, pin: str) -> Pkcs11Key:
    """Make a root key inside a token. It is marked as sensitive and not extractable.

    Raises:
        RootKeyProviderError: library or token are not there, the PIN is wrong, or the token has such a key already.
    """
    return token_key(library, token, label, pin, create=True)


def token_key(library: str, token: str, label: str, pin: str, *, create: bool) -> Pkcs11Key:
    """`pkcs11_key` or `create_pkcs11_key`."""
    where = f"token {token!r} of {library}"

    def mac(data: bytes) -> bytes:
        with _session(library, token, pin, rw=False) as (pkcs11, session):
            made = bytes(_find(pkcs11, session, label, where).sign(data, mechanism=pkcs11.Mechanism.SHA256_HMAC))
        if len(made) != KEY_BYTES:
            raise RootKeyProviderError(f"{where} does not compute HMAC-SHA256")
        return made

    if create:
        with _session(library, token, pin, rw=True) as (pkcs11, session):
            if _keys(pkcs11, session, label):
                raise RootKeyProviderError(f"{where} has a key {label!r} already; a root key is never overwritten")
            _generate(pkcs11, session, label)
    mac(b"")  # says now what is missing
    return Pkcs11Key(token=token, label=label, mac=mac)


@contextmanager
def _session(library: str, token: str, pin: str, *, rw: bool) -> Iterator[tuple[Any, Any]]:
    """One login to the token, for one operation: a token knows one login for all threads of a process."""
    try:
        pkcs11 = importlib.import_module("pkcs11")
    except ImportError:
        raise RootKeyProviderError("PKCS#11 needs the package python-pkcs11: pip install 'casehaven[pkcs11]'") from None
    try:
        with _ONE_LOGIN, pkcs11.lib(library).get_token(token_label=token).open(user_pin=pin, rw=rw) as session:
            yield pkcs11, session
    except pkcs11.exceptions.PKCS11Error as error:
        raise RootKeyProviderError(f"token {token!r} of {library} does not answer: {type(error).__name__}") from None
    except RuntimeError:  # the library cannot be loaded
        raise RootKeyProviderError(f"the PKCS#11 library {library} cannot be loaded") from None


def _keys(pkcs11: Any, session: Any, label: str) -> list[Any]:
    return [
        *session.get_objects({pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY, pkcs11.Attribute.LABEL: label})
    ]


def _find(pkcs11: Any, session: Any, label: str, where: str) -> Any:
    """The one key of this label."""
    there = _keys(pkcs11, session, label)
    if len(there) != 1:
        raise RootKeyProviderError(f"{where} has {'no key' if not there else 'several keys'} with the label {label!r}")
    return there[0]


def _generate(pkcs11: Any, session: Any, label: str) -> None:
    """A new 32-byte secret in the token, for HMAC only."""
    attribute = pkcs11.Attribute
    session.generate_key(
        pkcs11.KeyType.GENERIC_SECRET,
        8 * KEY_BYTES,
        label=label,
        store=True,
        capabilities=pkcs11.MechanismFlag.SIGN,
        mechanism=pkcs11.Mechanism.GENERIC_SECRET_KEY_GEN,
        mechanism_param=None,
        template={
            attribute.VALUE_LEN: KEY_BYTES,
            attribute.SENSITIVE: True,
            attribute.EXTRACTABLE: False,
            attribute.PRIVATE: True,
        },
    )
