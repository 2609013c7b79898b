"""`casehaven audit`: is the log whole, what partners keep of it, and who did what."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from casehaven.cli._audit_server import checkpoint_there, report_there, verify_there
from casehaven.cli._server import chosen_server, server_option, sign_in_option
from casehaven.cli._vault import chosen_dataset, dataset_option, open_vault, root_key_option, vault_option
from casehaven.client.plain_text import one_line
from casehaven.core.audit import AuditError, timestamp
from casehaven.core.audit_checkpoint import NOTE_LIMIT, LogSettings, NoteKey, close_periods, parse_checkpoint
from casehaven.core.audit_report import AuditQuestion, ReportLine, report
from casehaven.core.audit_verify import AuditVerification, verify_log
from casehaven.people.find import person_by_reference
from casehaven.people.service import check_reason
from casehaven.vault.anchor import Anchor
from casehaven.vault.errors import AnchorExistsError, ChangedVaultFileError, UnknownPersonError
from casehaven.vault.folder import VaultFolder
from casehaven.vault.rootkeys import parse_root
from casehaven.vault.store import Vault
from casesynth._files import FileTooLargeError, NotRegularFileError, read_regular, write_whole
from casesynth.report.markup import visible


class AuditNotWholeError(AuditError):
    """The log was changed, cut or set back."""


class NoCheckpointYetError(AuditError):
    """No period of the log is over yet."""


class ExistingCheckpointError(AuditError):
    """A file is there already."""


reason_option = click.option(
    "--reason", prompt="Why", help="Why. It is sealed in the audit log; write no names.  [asked for if not given]"
)
"""The reason that every reading and every restore gives."""


@click.group("audit")
def command() -> None:
    """Verify the audit log, write its checkpoints, and say who did what."""


@command.command("verify")
@server_option
@vault_option
@root_key_option
@click.option(
    "--checkpoint",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="A checkpoint that was kept outside; may be given several times.",
)
@click.option("--without-anchor", is_flag=True, help="Verify a copy that has no anchor; a cut-off end is not noticed.")
def verify(server: str | None, vault_path: Path, root_spec: str, files: tuple[Path, ...], without_anchor: bool) -> None:
    """Verify every entry of the log, its checkpoints, and that it is not older than its anchor."""
    asked = chosen_server("vault_path", "root_spec", "without_anchor")
    if asked is not None:
        bad = verify_there(asked, [_read(path).decode("utf-8", "replace") for path in files])
        if bad is not None:
            raise AuditNotWholeError(f"the audit log of the server is not whole: position {bad}")
        found = AuditVerification(positions=0, periods=0, lost=(), first_bad=None)
        click.echo("\n".join(_found(found, len(files), False)))
        return
    vault = Vault.open(vault_path, parse_root(root_spec), check_anchor=False)
    state = None if without_anchor else vault.anchor.read()
    with contextlib.ExitStack() as kept:
        for organisation in vault.keystore.organisations:  # no key ends while its reasons are opened
            kept.enter_context(vault.organisation_lock(organisation, alone=False))
        connection = kept.enter_context(vault.database.transaction(writes=False))
        key = NoteKey(name=LogSettings.read(connection).origin, public_key=vault.keystore.verify_key)
        checkpoints = [parse_checkpoint(_read(path), key) for path in files]
        found = verify_log(
            connection,
            vault.audit,
            vault.keystore.verify_key,
            anchor=None if state is None else state.head,
            checkpoints=checkpoints,
            erased=None if state is None else state.erased,
        )
    if not found.whole:
        raise AuditNotWholeError(f"the audit log is not whole: position {found.first_bad}: {found.fault}")
    click.echo("\n".join(_found(found, len(checkpoints), without_anchor)))


@command.command("checkpoint")
@server_option
@vault_option
@root_key_option
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Write a file.")
@click.option("--key", "show_key", is_flag=True, help="Print the public key that checkpoints are signed with.")
def checkpoint(server: str | None, vault_path: Path, root_spec: str, output: Path | None, show_key: bool) -> None:
    """Write the signed checkpoint of the last day that is over; send it to every partner organisation."""
    asked = chosen_server("vault_path", "root_spec")
    key, note, until = _checkpoint_here(vault_path, root_spec) if asked is None else _checkpoint_there(asked)
    if show_key:
        click.echo(key)
        return
    if note is None:
        raise NoCheckpointYetError(f"the first checkpoint is that of {until}")
    if output is None:
        click.echo(note, nl=False)
        return
    try:
        write_whole(output, note.encode("utf-8"), mode=0o644, replace=False)
    except FileExistsError:
        raise ExistingCheckpointError(f"{output} exists already") from None
    click.echo(f"wrote {output}: the checkpoint of {until}")


def _checkpoint_here(vault_path: Path, root_spec: str) -> tuple[str, str | None, str]:
    """Return the public key, the last note, and when its period ended; without one, when the first will."""
    vault = open_vault(vault_path, root_spec)
    with vault.writing() as connection:
        closed = close_periods(connection, vault.audit, vault.keystore.signing_key())
        settings = LogSettings.read(connection)
    key = NoteKey(name=settings.origin, public_key=vault.keystore.verify_key).text
    return key, None if closed is None else closed.note, settings.end_of(0 if closed is None else closed.period)


def _checkpoint_there(server: str) -> tuple[str, str | None, str]:
    """Return the same of a server."""
    found = checkpoint_there(server)
    return one_line(found.key), found.note, one_line(found.until)


@command.command("report")
@server_option
@sign_in_option
@vault_option
@root_key_option
@dataset_option
@click.option("--person", "reference", help="A case reference of the dataset, or the number of a person.")
@click.option("--organisation", default="", help="Only what was done to this organisation's records.")
@click.option("--actor", default="", help="Only what this person did.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="First day.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Last day.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@reason_option
def report_command(
    server: str | None,
    handle: str | None,
    vault_path: Path,
    root_spec: str,
    dataset_id: str | None,
    reference: str | None,
    organisation: str,
    actor: str,
    since: datetime | None,
    until: datetime | None,
    as_json: bool,
    reason: str,
) -> None:
    """Say who did what to whose records, when and why. The report stands in the log itself."""
    reason = check_reason(reason)
    asked = chosen_server("vault_path", "root_spec", "reference", "dataset_id")
    if asked is not None:
        report_there(
            asked,
            handle,
            organisation=organisation,
            actor=actor,
            since=since,
            until=until,
            as_json=as_json,
            reason=reason,
        )
        return
    vault = open_vault(vault_path, root_spec)
    person, datasets = _person(vault, dataset_id, reference) if reference else ("", ())
    question = AuditQuestion(
        person=person,
        datasets=datasets,
        organisation=organisation,
        actor=actor,
        since="" if since is None else timestamp(since.replace(tzinfo=UTC)),
        until="" if until is None else timestamp(until.replace(tzinfo=UTC) + timedelta(days=1)),
    )
    with vault.writing() as connection:
        vault.audit.append(
            connection,
            action="audit.report",
            object_kind="person" if person else "vault",
            object_id=person or vault.vault_id,
            organisation=organisation or (datasets[0].partition("/")[0] if datasets else ""),
            reason=reason,
        )
    with vault.database.transaction(writes=False) as connection:
        lines = [*report(connection, vault.audit, question)]
    click.echo(_json(lines) if as_json else "\n".join(_table(lines)))


@command.command("anchor")
@vault_option
@root_key_option
@click.option(
    "--at",
    "place",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the anchor is to be: move it there, or make the new one there.",
)
@reason_option
def anchor_command(vault_path: Path, root_spec: str, place: Path | None, reason: str) -> None:
    """Make a new anchor where the old one is lost, or move it. What a lost one knew beyond the database is lost with it, and the log says so."""
    reason = check_reason(reason)
    folder = VaultFolder.open(vault_path)
    vault = Vault(folder, *folder.unlock(parse_root(root_spec), signed=place is None))
    moves = False
    if place is not None:
        with contextlib.suppress(ChangedVaultFileError):  # else nobody vouches for the place that is named there
            folder.verify(vault.keystore)
            moves = vault.anchor.path.exists()
    target = vault.anchor.path if place is None else place.absolute()
    if target.exists():
        raise AnchorExistsError(f"{target} exists already" + ("; nothing is lost" if place is None else ""))
    with contextlib.ExitStack() as kept:
        for organisation in vault.keystore.organisations:  # no refusal or erasure is told to the old one meanwhile
            kept.enter_context(vault.organisation_lock(organisation, alone=True))
        if moves:
            with vault.database.transaction(writes=False) as connection:
                vault.anchor.check(connection)
        with vault.database.transaction(writes=True) as connection:
            action = "anchor.move" if moves else "anchor.create"
            vault.audit.append(connection, action=action, object_kind="vault", object_id=vault.vault_id, reason=reason)
        with vault.database.transaction(writes=False) as connection:
            if moves:
                vault.anchor.raise_from(connection)
                vault.anchor.copy_to(target)
            else:
                Anchor.create(target, vault.keystore, vault.vault_id, connection)
        if place is not None:
            replace(folder, anchor=target).write(vault.keystore)
        if moves:
            vault.anchor.path.unlink()
    click.echo(f"{'moved the anchor to' if moves else 'wrote'} {target}")


def _found(found: AuditVerification, checkpoints: int, without_anchor: bool) -> list[str]:
    lines = ["the audit log is whole" + ("; its end was not compared with the anchor" if without_anchor else "")]
    if checkpoints:
        lines.append("it is the log of " + ("this checkpoint" if checkpoints == 1 else "these checkpoints"))
    lines += [f"a restore lost the entries {lost.first} to {lost.last}" for lost in found.lost]
    return lines


def _person(vault: Vault, dataset_id: str | None, reference: str) -> tuple[str, Sequence[str]]:
    """The person's number and dataset: by number, else by case reference; an erased person has a number only."""
    number = int(reference) if reference.isascii() and reference.isdecimal() and len(reference) < 20 else 0
    if 0 < number < 2**63:
        with contextlib.suppress(UnknownPersonError):
            return str(number), (vault.dataset_of(vault.person(number)).id,)
    if dataset_id is not None or len(vault.datasets()) == 1 or not number:
        dataset = chosen_dataset(vault, dataset_id)
        person = person_by_reference(vault, dataset, reference)
        if person is not None:
            return str(person.person_id), (dataset.id,)
    if number:
        return str(number), ()
    raise UnknownPersonError("nobody is in the dataset under this case reference; an erased person has a number only")


def _why(line: ReportLine) -> str:
    if line.reason_broken:
        return "(cannot be opened)"
    return "(erased with the person)" if line.reason_gone else visible(line.reason)


def _table(lines: Sequence[ReportLine]) -> list[str]:
    if not lines:
        return ["the log has no such entry"]
    rows = [("when", "who", "what", "on", "why")]
    for line in lines:
        entry = line.entry
        rows.append((entry.at, entry.actor, entry.action, f"{entry.object_kind} {entry.object_id}", _why(line)))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]).rstrip()
        for row in rows
    ]


def _json(lines: Sequence[ReportLine]) -> str:
    listed = [
        {
            "position": line.entry.position,
            "at": line.entry.at,
            "actor": line.entry.actor,
            "action": line.entry.action,
            "organisation": line.entry.organisation,
            "object_kind": line.entry.object_kind,
            "object_id": line.entry.object_id,
            "reason": line.reason,
            "reason_gone": line.reason_gone,
            "reason_broken": line.reason_broken,
        }
        for line in lines
    ]
    return json.dumps({"format": "casehaven-audit-report/1", "entries": listed}, indent=2, ensure_ascii=False)


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, limit=NOTE_LIMIT, follow=True)
    except (FileTooLargeError, NotRegularFileError) as error:
        raise AuditError(str(error)) from None
