"""`casehaven vault keys escrow`: an organisation's keys for the day on which the root key is lost, with custodians elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import click

from casehaven.cli._vault import open_vault, root_key_option, vault_option
from casehaven.vault.custodian import Custodian, CustodianKey, fingerprint, parse_public_key, public_key_text
from casehaven.vault.errors import CustodianKeyError, EscrowError
from casehaven.vault.escrow import EscrowEvent, answer_request, create_packet, open_packet, request_opening
from casehaven.vault.escrow_log import EscrowLog
from casehaven.vault.escrow_packet import EscrowPacket, parse_packet
from casehaven.vault.escrow_request import EscrowRequest, parse_answer, parse_request
from casehaven.vault.keystore import Keystore
from casehaven.vault.rootkeys import create_root
from casehaven.vault.store import Vault
from casesynth._files import FileTooLargeError, NotRegularFileError, read_regular, write_whole

PASSPHRASE_VARIABLE = "CASEHAVEN_CUSTODIAN_PASSPHRASE"
"""Environment variable that opens a custodian's key without a question."""

_LIMIT = 1_048_576

escrow = click.Group("escrow", help="Keep an organisation's keys with custodians elsewhere, of whom m of n open them.")

log_option = click.option(
    "--log",
    "log_path",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("casehaven-escrow"),
    show_default=True,
    help="Folder for the log of escrow and the notices to send.",
)
"""It arrives as `log_path`."""

output_option = click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False), help="A new file."
)
"""It arrives as `output`."""

packet_argument = click.argument("packet_path", metavar="PACKET", type=click.Path(path_type=Path, dir_okay=False))
request_argument = click.argument("request_path", metavar="REQUEST", type=click.Path(path_type=Path, dir_okay=False))


@escrow.command("custodian")
@output_option
def custodian(output: Path) -> None:
    """Make a custodian's key, and print the public key that the vault's steward needs."""
    passphrase = _passphrase(twice=True)
    key = CustodianKey.create()
    key.save(output, passphrase)
    click.echo(public_key_text(key.public_key))
    click.echo(f"fingerprint {fingerprint(key.public_key)}: read it to the steward over another channel", err=True)


@escrow.command("create")
@click.argument("organisation")
@click.option(
    "--custodian",
    "custodians",
    nargs=3,
    multiple=True,
    required=True,
    metavar="NAME ORGANISATION PUBLIC_KEY",
    help="A custodian; 2 to 7 of them, each in another organisation.",
)
@click.option("--threshold", required=True, type=click.IntRange(2, 7), help="How many of them are needed.")
@vault_option
@root_key_option
@log_option
@output_option
def create(
    organisation: str,
    custodians: Sequence[tuple[str, str, str]],
    threshold: int,
    vault_path: Path,
    root_spec: str,
    log_path: Path,
    output: Path,
) -> None:
    """Put an organisation's present keys into a packet. After each new epoch a new packet is due."""
    if output.exists():
        raise EscrowError(f"{output} exists already; it is not overwritten")
    vault = open_vault(vault_path, root_spec)
    log = EscrowLog(log_path)
    named = [Custodian(name=n, organisation=o, public_key=parse_public_key(k)) for n, o, k in custodians]
    with vault.organisation_lock(organisation, alone=True):
        packet = create_packet(
            vault.keystore.organisation(organisation).for_escrow(),
            vault.keystore.keystore_id,
            named,
            threshold,
            log=lambda event: _record(vault, log, event),
            notify=log.notify,
        )
        _write_new(output, packet.to_bytes())
    click.echo(
        f"wrote {output}: keys of {organisation}, epoch {packet.epoch}, for {threshold} of {len(named)} custodians"
    )
    for each in named:
        click.echo(f"custodian  {each.name}, {each.organisation}: {each.fingerprint}")
    click.echo(f"give every custodian a copy, have the fingerprints compared, and send the notices in {log_path}")


@escrow.command("request")
@packet_argument
@click.option("--requester", required=True, help="Who asks.")
@click.option("--reason", required=True, help="Why; custodians read it. Nothing about a person in the records.")
@click.option(
    "--wait", "wait_hours", type=click.IntRange(0, 720), default=24, show_default=True, help="Hours until it opens."
)
@click.option(
    "--open-for", "open_hours", type=click.IntRange(1, 336), default=72, show_default=True, help="Hours it is open."
)
@log_option
@output_option
def request(
    packet_path: Path, requester: str, reason: str, wait_hours: int, open_hours: int, log_path: Path, output: Path
) -> None:
    """Ask the custodians of a packet to open it."""
    log = EscrowLog(log_path)
    packet = _packet(packet_path)
    key_path = output.with_name(f"{output.name}.key")
    for path in (output, key_path):
        if path.exists():
            raise EscrowError(f"{path} exists already; it is not overwritten")
    made, key = request_opening(
        packet,
        requester=requester,
        reason=reason,
        log=log.record,
        notify=log.notify,
        wait=timedelta(hours=wait_hours),
        open_for=timedelta(hours=open_hours),
    )
    key.save(key_path)
    _write_new(output, made.to_bytes())
    click.echo(
        f"wrote {output}: for the custodians. It may be answered from {made.opens_from} until {made.opens_until}"
    )
    click.echo(f"wrote {key_path}: opens their answers; keep it, give it to nobody, destroy it afterwards")
    click.echo(f"digest     {_spoken(made)}: custodians compare it with you by voice")
    click.echo(f"send the notices in {log_path}")


@escrow.command("answer")
@packet_argument
@request_argument
@click.option(
    "--custodian-key", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The custodian's key."
)
@click.option("--yes", is_flag=True, help="The reason was read, and the digest compared; do not ask.")
@log_option
@output_option
def answer(packet_path: Path, request_path: Path, custodian_key: Path, yes: bool, log_path: Path, output: Path) -> None:
    """Hand a custodian's shares to whoever made the request."""
    if output.exists():
        raise EscrowError(f"{output} exists already; it is not overwritten")
    log = EscrowLog(log_path)
    packet, asked = _packet(packet_path), _request(request_path)
    click.echo(f"keys of    {packet.organisation}, epoch {packet.epoch}")
    click.echo(f"asked by   {asked.requester}")
    click.echo(f"reason     {asked.reason}")
    click.echo(f"digest     {_spoken(asked)}: compare it with the requester by voice")
    key = CustodianKey.load(custodian_key, _passphrase(twice=False, needed=_is_encrypted(custodian_key)))
    if not yes:
        click.confirm("Is the reason good, and is the digest the same?", abort=True, err=True)
    made = answer_request(packet, asked, key, log=log.record, notify=log.notify)
    _write_new(output, made.to_bytes())
    click.echo(f"wrote {output}: for the requester; only the key of this request opens it")


@escrow.command("open")
@packet_argument
@request_argument
@click.argument("answers", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--request-key", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The key of the request."
)
@click.option(
    "--keystore",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for a new keystore with the organisation's keys.",
)
@root_key_option
@log_option
def open_(
    packet_path: Path,
    request_path: Path,
    answers: Sequence[Path],
    request_key: Path,
    keystore: Path,
    root_spec: str,
    log_path: Path,
) -> None:
    """Open a packet with the answers of enough custodians; the keys go into a new keystore under a new root key."""
    log = EscrowLog(log_path)
    packet, asked = _packet(packet_path), _request(request_path)
    if keystore.exists():
        raise EscrowError(f"{keystore} exists already; the keys go into a new keystore")
    given = [parse_answer(_read(path)) for path in answers]
    key = CustodianKey.load(request_key)
    recovered = open_packet(packet, asked, key, given, log=log.record, notify=log.notify)
    Keystore.create(keystore, create_root(root_spec)).adopt(recovered)
    click.echo(f"made {keystore}: keys of {packet.organisation}, epoch {packet.epoch}, under a new root key")
    click.echo(f"destroy {request_key}, and send the notices in {log_path}")


@escrow.command("log")
@log_option
def show_log(log_path: Path) -> None:
    """Check the log of escrow and list its steps."""
    for event in EscrowLog(log_path).events():
        by = f", {'; '.join(event['custodians'])}" if event["custodians"] else ""
        click.echo(f"{event['at']} {event['action']}: {event['organisation']}, packet {event['packet_id'][:8]}{by}")
    click.echo("the log is whole, as far as it goes")


def _record(vault: Vault, log: EscrowLog, event: EscrowEvent) -> None:
    """Into the vault's audit log and into the log beside the packet."""
    with vault.writing() as connection:
        vault.audit.append(
            connection,
            action=event.action,
            object_kind="escrow-packet",
            object_id=event.packet_id,
            organisation=event.organisation,
        )
    log.record(event)


def _spoken(asked: EscrowRequest) -> str:
    """The beginning of a request's digest, in groups of four."""
    return " ".join(asked.sha256[start : start + 4] for start in range(0, 24, 4))


def _packet(path: Path) -> EscrowPacket:
    return parse_packet(_read(path))


def _request(path: Path) -> EscrowRequest:
    return parse_request(_read(path))


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, limit=_LIMIT, follow=True)
    except (NotRegularFileError, FileTooLargeError) as error:
        raise EscrowError(str(error)) from None


def _write_new(path: Path, data: bytes) -> None:
    try:
        write_whole(path, data, mode=0o600, replace=False)
    except FileExistsError:
        raise EscrowError(f"{path} exists already; it is not overwritten") from None


def _is_encrypted(path: Path) -> bool:
    """Whether a custodian's key file asks for a passphrase."""
    return b"ENCRYPTED" in _read(path)[:64]


def _passphrase(*, twice: bool, needed: bool = True) -> bytes | None:
    """The passphrase of a custodian's key, from the environment or from the terminal; None for none."""
    if not needed:
        return None
    found = os.environ.get(PASSPHRASE_VARIABLE)
    if found is None:
        if not sys.stdin.isatty():
            raise CustodianKeyError(
                f"nothing to ask for the passphrase at; set {PASSPHRASE_VARIABLE} (empty for none), or use a terminal"
            )
        found = click.prompt(
            "Passphrase (empty for none)",
            hide_input=True,
            confirmation_prompt=twice,
            err=True,
            default="",
            show_default=False,
        )
    return found.encode() or None
