"""The audit log of a server on the command line: is it whole, its checkpoints, and who did what to your organisation's records."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime

import click

from casehaven.cli._server import connected, job_progress
from casehaven.client import Checkpoint, UnexpectedAnswerError
from casehaven.client.fields import Fields
from casehaven.client.plain_text import json_text, one_line
from casehaven.core.audit_checkpoint import NoteKey, parse_checkpoint

_KEY_BYTES = 33
_KIND = b"\x01"
"""Of an Ed25519 key in a line that other programs read."""


def verify_there(server: str, checkpoints: Sequence[str]) -> int | None:
    """Have a server's log verified; return the position of the first bad entry, None where it is whole."""
    with connected(server) as client, job_progress() as progress:
        found = client.audit.verify(checkpoints, progress=progress)
    return None if found.whole else found.first_bad if found.first_bad is not None else 0


def checkpoint_there(server: str) -> Checkpoint:
    """Fetch a server's checkpoint, and check that the key which stands beside it signed it.

    Raises:
        UnexpectedAnswerError: the key is none.
        CheckpointError: the key did not sign the note.
    """
    with connected(server) as client:
        found = client.audit.checkpoint()
    if found.note is not None:
        parse_checkpoint(found.note.encode("utf-8", "surrogatepass"), note_key(found.key))
    return found


def note_key(text: str) -> NoteKey:
    """Read a public key from its line.

    Raises:
        UnexpectedAnswerError: it is not one.
    """
    name, _, rest = text.partition("+")
    _, _, written = rest.partition("+")
    try:
        raw = base64.b64decode(written, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    key = NoteKey(name=name, public_key=raw[1:])
    if len(raw) != _KEY_BYTES or raw[:1] != _KIND or key.text != text:
        raise UnexpectedAnswerError("the server's key of checkpoints is not written as one")
    return key


def report_there(
    server: str,
    handle: str | None,
    *,
    organisation: str,
    actor: str,
    since: datetime | None,
    until: datetime | None,
    as_json: bool,
    reason: str,
) -> None:
    """Show who did what to the records of an organisation, by default of one's own."""
    with connected(server, handle) as client:
        whose = organisation or client.principal().organisation
        with job_progress() as progress:
            found = client.audit.report(
                whose,
                reason=reason,
                actor=actor or None,
                since=None if since is None else since.date(),
                until=None if until is None else until.date(),
                progress=progress,
            )
    if as_json:
        click.echo(json_text(dict(found)))
        return
    rows = Fields(found, "report").each("entries", _row)
    if not rows:
        click.echo("the log has no such entry")
        return
    table = [("when", "who", "what", "on", "why"), *rows]
    widths = [max(len(row[column]) for row in table) for column in range(4)]
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        click.echo("  ".join([*cells, row[4]]).rstrip())
    if found.get("cut"):
        click.echo("and earlier ones; name days with --since and --until")


def _row(fields: Fields) -> tuple[str, ...]:
    why = fields.maybe_text("reason") or ""
    if fields.flag("reason_broken", default=False):
        why = "(cannot be opened)"
    elif fields.flag("reason_gone", default=False):
        why = "(erased with the person)"
    about = f"{fields.text('object_kind')} {fields.text('object_id')}"
    told = (fields.text("at"), fields.text("actor"), fields.text("action"), about, why)
    return tuple(one_line(text, 1_000) for text in told)
