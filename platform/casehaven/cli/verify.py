"""`casehaven verify`: is a release bundle whole, and who signed it? Needs no network."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from casehaven.cli.keys import DEFAULT_TRUST, load_trust_store, trust_option
from casesynth.manifest import UnknownSignerError, verify_bundle

K_SYNTHETIC = "k-synthetic"
"""The fact `kind` of a bundle that is not differentially private."""


@contextmanager
def advising_how_to_trust(bundle: Path, trust_path: Path) -> Iterator[None]:
    """Add to the refusal of an unknown signer the command that would trust them."""
    try:
        yield
    except UnknownSignerError as error:
        store = "" if trust_path == DEFAULT_TRUST else f" --trust {shlex.quote(str(trust_path))}"
        error.add_note(
            "compare the fingerprint with the signer over another channel; if it is theirs: "
            f"`casehaven keys trust add{store} NAME {shlex.quote(str(bundle))} --fingerprint {error.fingerprint}`"
        )
        raise


@click.command("verify")
@click.argument("bundle", type=click.Path(path_type=Path))
@trust_option
def command(bundle: Path, trust_path: Path) -> None:
    """Check that a release bundle is whole and who signed it.

    Exit code 0: whole, and signed by a signer of the trust store. 1: a file or the signature is not as signed; it is named.
    2: whole, but the signer is unknown here; the fingerprint is shown.
    """
    with advising_how_to_trust(bundle, trust_path):
        found = verify_bundle(bundle, load_trust_store(trust_path))
    if found.signer is None or found.manifest is None:
        raise AssertionError("verify_bundle returns only trusted bundles")
    click.echo(f"signature  valid, by {found.signer.name} ({found.signer.public_key.fingerprint})")
    click.echo(f"files      {len(found.manifest.files)}, each as it was signed")
    if found.manifest.facts.get("kind") == K_SYNTHETIC:
        from casehaven.releases.k_mode_bundle import verify_k_approvals  # a protected release needs none of it
        from casesynth.kanonymity.attacks import WARNING

        stated = verify_k_approvals(bundle, found.manifest, load_trust_store(trust_path))
        click.echo(f"privacy    {WARNING}: a k-synthetic file, k {stated.k}; read datasheet.md before anything else")
        click.echo(f"approved   by {' and '.join(stated.approved_by)}")
