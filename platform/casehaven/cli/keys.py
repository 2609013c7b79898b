"""`casehaven keys`: the key that signs releases, and the signers who are trusted."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from casehaven.errors import CasehavenError
from casesynth._files import FileTooLargeError, NotRegularFileError, read_regular
from casesynth.manifest import SIGNATURE_NAME
from casesynth.signing import (
    BadSignatureError,
    PassphraseNeededError,
    PublicKey,
    PublicKeyError,
    SigningKey,
    TrustStore,
    parse_signature,
)

DEFAULT_KEY = Path("casehaven-signing-key.pem")
"""In the working folder, when neither --key nor CASEHAVEN_KEY names another."""

DEFAULT_TRUST = Path("casehaven-trust.json")
"""In the working folder, when neither --trust nor CASEHAVEN_TRUST names another."""

PASSPHRASE_VARIABLE = "CASEHAVEN_KEY_PASSPHRASE"
"""Environment variable that opens the signing key without a question."""

_SIGNATURE_LIMIT = 4_096

key_option = click.option(
    "--key",
    "key_path",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="CASEHAVEN_KEY",
    default=DEFAULT_KEY,
    show_default=True,
    show_envvar=True,
    help="The signing key, a PEM file.",
)
"""The option that every command with a signing key shares; it arrives as `key_path`."""

trust_option = click.option(
    "--trust",
    "trust_path",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="CASEHAVEN_TRUST",
    default=DEFAULT_TRUST,
    show_default=True,
    show_envvar=True,
    help="The trust store, a JSON file.",
)
"""The option that every command with a trust store shares; it arrives as `trust_path`."""


class FingerprintMismatchError(CasehavenError):
    """The key that was given is not the one whose fingerprint was compared."""


def load_signing_key(path: Path) -> SigningKey:
    """Load the signing key, with the passphrase from the environment, or from the person at the terminal.

    Raises:
        SigningKeyError: there is no such key, others may read it, or it does not open.
    """
    passphrase = os.environ.get(PASSPHRASE_VARIABLE)
    try:
        return SigningKey.load(path, passphrase.encode() if passphrase else None)
    except PassphraseNeededError:
        if not sys.stdin.isatty():
            raise
    return SigningKey.load(path, click.prompt("Passphrase", hide_input=True, err=True).encode())


def load_trust_store(path: Path) -> TrustStore:
    """Load the trust store. The default file may be missing: then nobody is trusted yet.

    Raises:
        TrustStoreError: a file that was named is missing, or the file is not a trust store.
    """
    if path == DEFAULT_TRUST and not path.exists():
        return TrustStore()
    return TrustStore.load(path)


@click.group("keys")
def command() -> None:
    """Make a signing key, and say whose signatures are trusted."""


@command.command("create")
@key_option
@click.option(
    "--passphrase", "ask", is_flag=True, help=f"Ask for a passphrase (or take it from {PASSPHRASE_VARIABLE})."
)
def create(key_path: Path, ask: bool) -> None:
    """Make a new signing key. A key that is there is never overwritten."""
    passphrase = os.environ.get(PASSPHRASE_VARIABLE) or None
    if ask and passphrase is None:
        passphrase = click.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    key = SigningKey.create()
    key.save(key_path, passphrase.encode() if passphrase else None)
    click.echo(f"created {key_path}")
    _show(key.public_key)


@command.command("show")
@key_option
def show(key_path: Path) -> None:
    """Show the fingerprint and the public key, for others to trust."""
    _show(load_signing_key(key_path).public_key)


@command.group("trust")
def trust() -> None:
    """Say whose signatures are trusted here."""


@trust.command("add")
@trust_option
@click.argument("name")
@click.argument("source")
@click.option("--fingerprint", required=True, help="As the signer told you over another channel.")
def trust_add(trust_path: Path, name: str, source: str, fingerprint: str) -> None:
    """Trust the signer NAME, whose key is in SOURCE: a bundle, a manifest.sig, or the public key itself.

    Compare the fingerprint with the signer over another channel first: by phone, or in person.
    """
    key = _public_key(source)
    if key.fingerprint != fingerprint.strip().rstrip("="):
        raise FingerprintMismatchError(
            f"the key of {source} has the fingerprint {key.fingerprint}, expected {fingerprint}; nothing was added"
        )
    store = TrustStore.load(trust_path) if trust_path.exists() else TrustStore()
    store.add(name, key).save(trust_path)
    click.echo(f"{name} is trusted in {trust_path}: {key.fingerprint}")


@trust.command("list")
@trust_option
def trust_list(trust_path: Path) -> None:
    """List the signers who are trusted here."""
    signers = load_trust_store(trust_path).signers
    for signer in signers:
        click.echo(f"{signer.public_key.fingerprint}  {signer.name}")
    if not signers:
        click.echo("nobody is trusted yet")


def _show(key: PublicKey) -> None:
    click.echo(f"fingerprint {key.fingerprint}")
    click.echo(f"public key  {key.text}")


def _public_key(source: str) -> PublicKey:
    path = Path(source)
    if path.is_dir():
        path = path / SIGNATURE_NAME
    if not path.exists():
        try:
            return PublicKey.parse(source)
        except PublicKeyError:
            raise PublicKeyError(f"{source[:200]} is neither a bundle, nor a file, nor a public key") from None
    try:
        return parse_signature(read_regular(path, limit=_SIGNATURE_LIMIT)).public_key
    except (BadSignatureError, NotRegularFileError, FileTooLargeError) as error:
        raise PublicKeyError(f"{path} holds no public key: {error}") from None
