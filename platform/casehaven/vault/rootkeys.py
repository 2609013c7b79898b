"""The root key: where it may be kept, and how a keystore is wrapped with it.

1. The root key is kept apart from the vault, its keystore and their backups. It is in a file (0600), in a passphrase (Argon2id), in the
   environment, or in a token behind PKCS#11, which it never leaves.
2. A keystore keeps the public parameters of its root key (`description`), never the key. `fresh` makes parameters for a new keystore,
   `bound` takes those of an existing one. They come from a file that others may have changed, so they are checked against limits.
3. A key in a file and one in the environment are the same text, `casehaven-root-key/1:` and 64 hexadecimal digits; one stands in for the other.
4. A passphrase has at least 16 characters, because whoever steals the keystore may guess without limit. It is taken in Unicode form NFC.
5. No key, passphrase or PIN is in a `repr`, a message or an argument of a command.
"""

from __future__ import annotations

import os
import re
import stat
import sys
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from casehaven.vault.context import SealContext
from casehaven.vault.errors import LooseRootKeyError, RootKeyError
from casehaven.vault.root_description import ROOT_WRAP_VERSION, Description, RootKey, expect_kind
from casehaven.vault.sealed import KEY_BYTES, new_key, unwrap_key, wrap_key
from casehaven.vault.token_key import Pkcs11Key, create_pkcs11_key, pkcs11_key, token_key
from casesynth._files import FileTooLargeError, NotRegularFileError, open_regular, write_whole

__all__ = [
    "Description",
    "HeldKey",
    "PassphraseCost",
    "PassphraseKey",
    "Pkcs11Key",
    "RootKey",
    "create_file_key",
    "create_pkcs11_key",
    "create_root",
    "environment_key",
    "file_key",
    "key_text",
    "parse_root",
    "passphrase_key",
    "pkcs11_key",
]

KEY_VARIABLE: Final = "CASEHAVEN_VAULT_KEY"
PASSPHRASE_VARIABLE: Final = "CASEHAVEN_VAULT_PASSPHRASE"
NEW_PASSPHRASE_VARIABLE: Final = "CASEHAVEN_NEW_VAULT_PASSPHRASE"
PIN_VARIABLE: Final = "CASEHAVEN_TOKEN_PIN"
PASSPHRASE_CHARACTERS_MIN: Final = 16

_TEXT: Final = re.compile(r"casehaven-root-key/1:([0-9a-f]{64})\s*")
_FILE_LIMIT: Final = 4096
_SALT_BYTES: Final = 32


@dataclass(frozen=True, kw_only=True)
class HeldKey:
    """A root key whose 32 bytes this process holds: from a file or from the environment."""

    key: bytes = field(repr=False)
    """The key."""
    version: int = ROOT_WRAP_VERSION
    """See `RootKey`."""
    kind: str = "key"
    """See `RootKey`."""

    def __post_init__(self) -> None:
        if len(self.key) != KEY_BYTES:
            raise RootKeyError(f"a root key has {KEY_BYTES} bytes")

    def description(self) -> Description:
        """Nothing but its kind."""
        return {"kind": self.kind}

    def fresh(self) -> HeldKey:
        """The same: it has no parameters."""
        return self

    def bound(self, unverified: Description) -> HeldKey:
        """The same, if the keystore expects such a key."""
        expect_kind(self.kind, unverified, {"kind"})
        return self

    def wrap(self, key: bytes, context: SealContext) -> bytes:
        """Wrap with the key itself."""
        return wrap_key(self.key, key, context)

    def unwrap(self, wrapped: bytes, context: SealContext) -> bytes:
        """Unwrap with the key itself."""
        return unwrap_key(self.key, wrapped, context)


@dataclass(frozen=True, kw_only=True)
class PassphraseCost:
    """What one guess of a passphrase costs (Argon2id, RFC 9106)."""

    memory_kib: int = 256 * 1024
    """Memory in KiB."""
    iterations: int = 3
    """Passes over the memory."""
    lanes: int = 4
    """Lanes of the memory."""

    def __post_init__(self) -> None:
        for name, low, high in (("memory_kib", 64, 4 * 1024 * 1024), ("iterations", 1, 64), ("lanes", 1, 64)):
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise RootKeyError(f"the cost of a passphrase: {name} must be a whole number from {low} to {high}")
        if self.memory_kib < 8 * self.lanes:
            raise RootKeyError("the cost of a passphrase: memory_kib must be at least 8 times lanes")


@dataclass(frozen=True, kw_only=True)
class PassphraseKey:
    """A root key that is made from a passphrase. It wraps only once it has a salt: after `fresh` or `bound`."""

    passphrase: str = field(repr=False)
    """As typed."""
    cost: PassphraseCost = PassphraseCost()
    """For a new keystore; an existing one has its own."""
    salt: bytes = b""
    """32 bytes, public; empty before `fresh` or `bound`."""
    derived: bytes = field(default=b"", repr=False)
    """The key; empty before `fresh` or `bound`."""
    version: int = ROOT_WRAP_VERSION
    """See `RootKey`."""
    kind: str = "passphrase"
    """See `RootKey`."""

    def description(self) -> Description:
        """Salt and cost."""
        return {
            "kind": self.kind,
            "salt": self.salt.hex(),
            "memory_kib": self.cost.memory_kib,
            "iterations": self.cost.iterations,
            "lanes": self.cost.lanes,
        }

    def fresh(self) -> PassphraseKey:
        """The same passphrase with a new salt.

        Raises:
            RootKeyError: the passphrase is too short (rule 4).
        """
        if len(_normal(self.passphrase)) < PASSPHRASE_CHARACTERS_MIN:
            raise RootKeyError(
                f"the passphrase is too short: it must have at least {PASSPHRASE_CHARACTERS_MIN} characters, such as five random words"
            )
        return self._with(os.urandom(_SALT_BYTES), self.cost)

    def bound(self, unverified: Description) -> PassphraseKey:
        """The same passphrase with the salt and cost of a keystore."""
        expect_kind(self.kind, unverified, {"kind", "salt", "memory_kib", "iterations", "lanes"})
        salt = unverified["salt"]
        if not isinstance(salt, str) or not re.fullmatch(rf"[0-9a-f]{{{2 * _SALT_BYTES}}}", salt):
            raise RootKeyError("the keystore names no salt for its passphrase; it was changed")
        values: dict[str, Any] = {name: unverified[name] for name in ("memory_kib", "iterations", "lanes")}
        return self._with(bytes.fromhex(salt), PassphraseCost(**values))

    def _with(self, salt: bytes, cost: PassphraseCost) -> PassphraseKey:
        derived = Argon2id(
            salt=salt, length=KEY_BYTES, iterations=cost.iterations, lanes=cost.lanes, memory_cost=cost.memory_kib
        ).derive(_normal(self.passphrase).encode())
        return PassphraseKey(passphrase=self.passphrase, cost=cost, salt=salt, derived=derived)

    def wrap(self, key: bytes, context: SealContext) -> bytes:
        """Wrap with the derived key."""
        return wrap_key(self._ready(), key, context)

    def unwrap(self, wrapped: bytes, context: SealContext) -> bytes:
        """Unwrap with the derived key."""
        return unwrap_key(self._ready(), wrapped, context)

    def _ready(self) -> bytes:
        if not self.derived:
            raise RootKeyError("a passphrase wraps nothing before it has a salt; call fresh() or bound() first")
        return self.derived


def file_key(path: Path) -> HeldKey:
    """Read a root key from a file that its owner alone may read.

    Raises:
        LooseRootKeyError: others may read or change the file.
        RootKeyError: it is missing, cannot be read, or is not a root key.
    """
    try:
        with open_regular(path, follow=True) as source:
            mode = stat.S_IMODE(os.fstat(source.fileno()).st_mode)
            if mode & 0o077:
                raise LooseRootKeyError(f"{path} has permissions {mode:04o}, expected 0600: others may read it")
            unverified = source.read(_FILE_LIMIT)
    except FileNotFoundError:
        raise RootKeyError(f"there is no root key at {path}") from None
    except (NotRegularFileError, FileTooLargeError) as error:
        raise RootKeyError(str(error)) from None
    except OSError as error:
        raise RootKeyError(f"{path} cannot be read: {error.strerror}") from None
    return _parse_key(unverified.decode("ascii", "replace"), str(path))


def create_file_key(path: Path) -> HeldKey:
    """Make a root key and write it to a new file with permissions 0600.

    Raises:
        RootKeyError: the file exists or cannot be written.
    """
    made = HeldKey(key=new_key())
    try:
        write_whole(path, key_text(made).encode("ascii") + b"\n", mode=0o600, replace=False)
    except FileExistsError:
        raise RootKeyError(f"{path} exists already; a root key is never overwritten") from None
    except OSError as error:
        raise RootKeyError(f"{path} cannot be written: {error.strerror}") from None
    return made


def key_text(root: HeldKey) -> str:
    """The text of a root key, as a file or an environment variable holds it (rule 3). It is the secret itself."""
    return f"casehaven-root-key/1:{root.key.hex()}"


def environment_key(name: str = KEY_VARIABLE) -> HeldKey:
    """Read a root key from an environment variable.

    Raises:
        RootKeyError: the variable is not set, or is not a root key.
    """
    text = os.environ.get(name)
    if text is None:
        raise RootKeyError(f"the environment variable {name} is not set")
    return _parse_key(text, f"the environment variable {name}")


def passphrase_key(passphrase: str, cost: PassphraseCost | None = None) -> PassphraseKey:
    """A root key from a passphrase; `cost` is for new keystores.

    Raises:
        RootKeyError: the passphrase is empty.
    """
    if not passphrase:
        raise RootKeyError("the passphrase is empty")
    return PassphraseKey(passphrase=passphrase, cost=cost or PassphraseCost())


def parse_root(spec: str, passphrase_variable: str = PASSPHRASE_VARIABLE) -> RootKey:
    """The root key that a command line names: `file:PATH`, `passphrase`, `env:NAME` or `pkcs11:library=...;token=...;label=...`.

    A passphrase comes from `CASEHAVEN_VAULT_PASSPHRASE` or is asked for, a PIN from `CASEHAVEN_TOKEN_PIN` or is asked for.

    Raises:
        RootKeyError: the text is none of these, or the key is not there.
    """
    return _parse(spec, create=False, passphrase_variable=passphrase_variable)


def create_root(spec: str, passphrase_variable: str = PASSPHRASE_VARIABLE) -> RootKey:
    """The same for a new vault: makes a key file or a key in a token; asks twice for a passphrase.

    Args:
        spec: see `parse_root`.
        passphrase_variable: where a passphrase is instead; another one when two root keys are at work.

    Raises:
        RootKeyError: the text is none of these, or such a key is there already.
    """
    return _parse(spec, create=True, passphrase_variable=passphrase_variable)


def _parse(spec: str, *, create: bool, passphrase_variable: str) -> RootKey:
    kind, _, rest = spec.partition(":")
    if kind == "file" and rest:
        return create_file_key(Path(rest)) if create else file_key(Path(rest))
    if kind == "env":
        return environment_key(rest or KEY_VARIABLE)
    if spec == "passphrase":
        new = "New passphrase" if passphrase_variable == NEW_PASSPHRASE_VARIABLE else "Passphrase"
        return passphrase_key(_ask(f"{new} of the vault", passphrase_variable, twice=create))
    if kind == "pkcs11" and rest:
        named = dict(part.partition("=")[::2] for part in rest.split(";"))
        if set(named) == {"library", "token", "label"}:
            pin = _ask("PIN of the token", PIN_VARIABLE, twice=False)
            return token_key(named["library"], named["token"], named["label"], pin, create=create)
    raise RootKeyError(
        "a root key is file:PATH, passphrase, env:NAME, or pkcs11:library=PATH;token=LABEL;label=LABEL; this is none of them"
    )


def _ask(what: str, variable: str, *, twice: bool) -> str:
    """A secret from the environment, else from the terminal; never from an argument (rule 5)."""
    found = os.environ.get(variable)
    if found is not None:
        return found
    if not sys.stdin.isatty():
        raise RootKeyError(f"{what.lower()}: nothing to ask at; set {variable}, or run the command in a terminal")
    import click  # the command line's own library, for those who have a terminal

    return str(click.prompt(what, hide_input=True, confirmation_prompt=twice, err=True))


def _normal(passphrase: str) -> str:
    return unicodedata.normalize("NFC", passphrase)


def _parse_key(unverified: str, where: str) -> HeldKey:
    found = _TEXT.fullmatch(unverified)
    if found is None:
        raise RootKeyError(f"{where} holds no root key; expected casehaven-root-key/1: and 64 hexadecimal digits")
    return HeldKey(key=bytes.fromhex(found.group(1)))
