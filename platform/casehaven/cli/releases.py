"""`casehaven releases`: the bundles that a server published, listed and fetched."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import click

from casehaven.cli._progress import PhaseLine
from casehaven.cli._server import connected, server_option
from casehaven.cli.keys import load_trust_store, trust_option
from casehaven.client.plain_text import json_text, one_line
from casesynth.manifest import UnknownSignerError


@click.group("releases")
def command() -> None:
    """List the bundles that a server published, and fetch them."""


@command.command("list")
@server_option
@click.option("--json", "as_json", is_flag=True, help="Print the list as JSON, for programs.")
def list_command(server: str | None, as_json: bool) -> None:
    """List the bundles that you may download, newest first."""
    with connected(_needed(server)) as client:
        found = client.releases.list()
    if as_json:
        click.echo(json_text([asdict(release) for release in found]))
        return
    if not found:
        click.echo("nothing is published that you may download")
    for release in found:
        click.echo(f"{release.id}  {one_line(release.state, 10):<10}  {one_line(release.title, 100)}")


@command.command("download")
@click.argument("release_id", metavar="ID")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the bundle; must not exist.")
@server_option
@trust_option
@click.option("--any-signer", is_flag=True, help="Keep it whoever signed it; `casehaven verify` says later who did.")
def download_command(release_id: str, out: Path, server: str | None, trust_path: Path, any_signer: bool) -> None:
    """Fetch the bundle with this ID, and check that it is whole and who signed it. What fails leaves nothing behind."""
    trust = None if any_signer else load_trust_store(trust_path)
    with connected(_needed(server)) as client, _fetching() as line:
        try:
            found = client.releases.download(
                release_id,
                out,
                trust=trust,
                fetched=lambda there, whole: line("fetch", there / whole if whole else None),
            )
        except UnknownSignerError as error:
            error.add_note(
                "compare the fingerprint with the operator's over another channel; if it is theirs, fetch it with --any-signer and trust it: "
                f"`casehaven keys trust add NAME {shlex.quote(str(out))} --fingerprint {error.fingerprint}`"
            )
            raise
    who = "not looked up" if found.signer is None else one_line(found.signer)
    click.echo(f"fetched    {out}, each file as it was signed")
    click.echo(f"signer     {who} ({found.fingerprint})")
    click.echo(f"next       casehaven verify {shlex.quote(str(out))}")


@contextmanager
def _fetching() -> Iterator[PhaseLine]:
    line = PhaseLine()
    try:
        yield line
    finally:
        line.close()


def _needed(server: str | None) -> str:
    if not server:
        raise click.UsageError("name the server with --server or CASEHAVEN_SERVER")
    return server
