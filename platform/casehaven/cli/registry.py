"""`casehaven registry`: check the public log of a registry, and bundles beside it, without the network."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from casehaven.cli.keys import load_trust_store, trust_option
from casehaven.client.plain_text import json_text, one_line
from casesynth.manifest import MANIFEST_NAME, UnknownSignerError, verify_bundle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from casehaven.registry.log import SignedEntry
    from casesynth.signing import TrustStore


@click.group("registry")
def command() -> None:
    """Check what a registry published and withdrew."""


@command.command("verify")
@click.argument("log", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("bundles", nargs=-1, metavar="[BUNDLE]...", type=click.Path(path_type=Path))
@trust_option
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON, for programs.")
def verify_command(log: Path, bundles: tuple[Path, ...], trust_path: Path, as_json: bool) -> None:
    """Check that a LOG is whole from its first entry on and who signed it, and say of each BUNDLE what the log says.

    LOG is the file that a registry gives out at /v1/registry/log.jsonl. Exit code 0: whole, signed by a signer of the trust store, and each bundle is in it.
    1: an entry is missing or changed, or a bundle is not as it was signed, or the log does not know it. 2: whole, but the signer is unknown here.
    """
    from casehaven.registry.log import head, read_log

    trust = load_trust_store(trust_path)
    entries = read_log(log)
    signers = _signers(entries, trust)
    found = [(bundle, _of_bundle(bundle, entries, trust)) for bundle in bundles]
    if as_json:
        stated = [{"bundle": str(bundle), "record": each["record"], "state": each["kind"]} for bundle, each in found]
        click.echo(json_text({"entries": len(entries), "head": head(entries), "signers": signers, "bundles": stated}))
        return
    click.echo(f"log        {head(entries)}: compare this with another reader's")
    click.echo(f"signer     {', '.join(one_line(name) for name in signers) or 'nobody yet'}")
    for bundle, each in found:
        reason = "" if each["reason"] is None else f": {one_line(each['reason'], 200)}"
        click.echo(f"{each['kind']:<10} {one_line(each['record'])}{reason}  ({bundle})")


def _signers(entries: Sequence[SignedEntry], trust: TrustStore) -> list[str]:
    names = []
    for each in entries:
        signer = trust.lookup(each.public_key)
        if signer is None:
            raise UnknownSignerError(
                f"the log is whole, but its signer {each.public_key.fingerprint} is not in the trust store",
                fingerprint=each.public_key.fingerprint,
            )
        names.append(signer.name)
    return sorted(set(names))


def _of_bundle(bundle: Path, entries: Sequence[SignedEntry], trust: TrustStore) -> dict[str, str]:
    """Return the last entry about a verified bundle.

    Raises:
        RegistryLogError: the log does not know it.
    """
    from casehaven.registry.errors import RegistryLogError

    verify_bundle(bundle, trust)
    digest = hashlib.sha256((bundle / MANIFEST_NAME).read_bytes()).hexdigest()
    records = {each.entry["record"] for each in entries if each.entry["manifest_sha256"] == digest}
    about = [each.entry for each in entries if each.entry["record"] in records]
    if not about:
        raise RegistryLogError(f"the log does not know {bundle}, by the SHA-256 of its manifest ({digest})")
    return dict(about[-1])
