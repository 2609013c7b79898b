"""`casehaven k-release`: a k-synthetic file, which is not differentially private and ends the dataset's account."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import get_args

import click

from casehaven.cli._ledger import ledger_option
from casehaven.cli._progress import PhaseLine
from casehaven.cli._vault import open_vault, root_key_option, vault_option
from casehaven.cli.keys import key_option, load_signing_key, load_trust_store, trust_option
from casehaven.ledger import Ledger
from casehaven.ledger.two_people import write_new
from casehaven.releases.k_mode import make_k_synthetic_of_files, make_k_synthetic_of_vault
from casehaven.releases.k_mode_request import (
    K_LEAST,
    VAULT,
    Approval,
    KRequest,
    KRequestError,
)
from caseschemas import load_schema, shipped_schema_ids
from casesynth.kanonymity import ATTACKS, WARNING
from casesynth.kanonymity.synthesis import Mode

out_file = click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The file; must not exist."
)


@click.group("k-release")
def command() -> None:
    """Make a k-synthetic file. NOT differentially private.

    Every record of such a file, taken whole, is stated by at least k people. That is less than it sounds: three known attacks are named by every command
    here. It needs two people, it marks the dataset as unbounded for good, and nothing with a privacy guarantee can be made of the dataset afterwards.
    Use `casehaven release` unless you know why it does not serve.
    """


@command.command("request")
@click.option("--dataset", required=True, metavar="ORGANISATION/DATASET", help="One dataset of one organisation.")
@click.option(
    "--source",
    required=True,
    help="Where records are read from: vault:ID, with the id that `casehaven vault status` prints, or the name of the case files in your words. It is published: "
    "no number of people, nothing of a record.",
)
@click.option("--schema", "schema_name", required=True, help="Id of a shipped schema, or a schema file.")
@click.option("--k", type=int, default=K_LEAST, show_default=True, help="How many people at least state each record.")
@click.option(
    "--mode",
    type=click.Choice(get_args(Mode)),
    default="seeded",
    show_default=True,
    help="seeded: records begin with people's own; unseeded: with counts of combinations.",
)
@click.option("--people-cap", type=int, required=True, help="Public bound on the number of people.")
@click.option("--reason", required=True, help="Why a protected release does not serve; it is published.")
@click.option("--title", help="Title of the file.  [default: names the schema]")
@click.option("--person-key", help="Column that tells persons apart.  [default: the schema's person key]")
@click.option("--row-is-person", is_flag=True, help="Declare that one row is one person.")
@click.option("--legal-basis", help="On what ground the records may be used, where the files have no consent column.")
@ledger_option
@out_file
def request_command(
    dataset: str,
    source: str,
    schema_name: str,
    k: int,
    mode: Mode,
    people_cap: int,
    reason: str,
    title: str | None,
    person_key: str | None,
    row_is_person: bool,
    legal_basis: str | None,
    path: Path,
    output: Path,
) -> None:
    """Write the request that two people are asked to approve. Nothing is read or marked."""
    schema = load_schema(schema_name)
    person = None if row_is_person else (person_key or schema.person_key)
    if person is None and not row_is_person:
        raise click.UsageError(f"{schema.id} names no person key; give --person-key, or --row-is-person")
    made = KRequest.draw_up(
        ledger=Ledger.open(path).statement().ledger_id,
        dataset=dataset,
        source=source,
        schema_sha256=schema.digest(),
        k=k,
        mode=mode,
        people_cap=people_cap,
        reason=reason,
        title=title or f"k-synthetic file of case records ({schema.id} {schema.version})",
        person_key=person,
        legal_basis=legal_basis,
    )
    write_new(output, made.to_bytes(), KRequestError)
    click.echo(f"request    {output}, for {dataset}, k {k}, {mode}")
    _warn()
    click.echo(
        f"next       two people, each with a key of their own: casehaven k-release approve {shlex.quote(str(output))}"
    )


@command.command("approve")
@click.argument("request_path", type=click.Path(path_type=Path, dir_okay=False), metavar="REQUEST")
@click.option("--yes", is_flag=True, help="Do not ask; the attacks are known to you.")
@key_option
@out_file
def approve_command(request_path: Path, yes: bool, key_path: Path, output: Path) -> None:
    """Approve a request with your own key, having read every line of what it says."""
    asked = KRequest.read(request_path)
    _warn()
    click.echo("\n".join(in_words(asked)))
    if not yes:
        click.confirm("Do you approve this?", abort=True)
    signed = Approval.by(asked, load_signing_key(key_path))
    write_new(output, signed.to_bytes(), KRequestError)
    click.echo(f"approved   by {signed.public_key.fingerprint}, in {output}")


@command.command("make")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE...]")
@click.option("--from-vault", is_flag=True, help="Take the dataset from the vault, in place of FILEs.")
@click.option("--schema", "schema_name", help="Of FILEs: the one that the request names.")
@click.option(
    "--approval",
    "approval_paths",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Approval of one person; give two.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the bundle; must not exist.")
@click.option("--open-accounts", is_flag=True, help="The dataset is new to this ledger: open an account, to mark it.")
@click.option(
    "--ignore-column", "ignored", multiple=True, help="A column beside the schema's that may be there; it is not read."
)
@vault_option
@root_key_option
@ledger_option
@key_option
@trust_option
def make_command(
    files: tuple[Path, ...],
    from_vault: bool,
    schema_name: str | None,
    approval_paths: tuple[Path, ...],
    out: Path,
    open_accounts: bool,
    ignored: tuple[str, ...],
    vault_path: Path,
    root_spec: str,
    path: Path,
    key_path: Path,
    trust_path: Path,
) -> None:
    """Make the file that two people approved. The dataset is marked in the ledger first, for good; one of a vault in the vault too.

    Of case FILEs only the ledger that the request names carries the mark: the same files under another ledger are not stopped.
    """
    if bool(files) == from_vault:
        raise click.UsageError("name all case FILEs of the dataset, or take it --from-vault; not both")
    if files and schema_name is None:
        raise click.UsageError("case FILEs need --schema")
    approvals = tuple(Approval.read(approval, KRequest) for approval in approval_paths)
    trust, ledger, key = load_trust_store(trust_path), Ledger.open(path), load_signing_key(key_path)
    line = PhaseLine()
    try:
        if from_vault:
            vault = open_vault(vault_path, root_spec)
            outcome = make_k_synthetic_of_vault(
                vault, approvals, trust, ledger, key, out, open_accounts=open_accounts, progress=line
            )
        else:
            outcome = make_k_synthetic_of_files(
                files,
                load_schema(schema_name or ""),
                approvals,
                trust,
                ledger,
                key,
                out,
                open_accounts=open_accounts,
                ignored_columns=ignored,
                progress=line,
            )
    finally:
        line.close()
    asked = approvals[0].request
    click.echo(f"made       {outcome.folder}")
    _warn()
    click.echo(
        f"promises   each record is stated by at least {asked.k} people; single counts are rounded down to {asked.k}"
    )
    click.echo(f"approved   by {' and '.join(signer.name for signer in outcome.approved_by)}")
    click.echo(f"ledger     {asked.dataset} is unbounded from today for good, in the ledger {asked.ledger}")
    if from_vault:
        click.echo("vault      holds the same mark: nothing is released from this dataset again, under any ledger")
    else:
        click.echo(
            "vault      none was used: only the ledger named above carries the mark. The same files under another ledger, or another name, "
            "are not stopped"
        )


def in_words(asked: KRequest) -> list[str]:
    """Every field of a request, in words: what a person who approves it is shown (privacy rule 34)."""
    if asked.person_key is None:
        persons = (
            "NOT TOLD APART. Every row counts as a person of its own, and nobody checks it: ten rows about one person pass for "
            "ten people, so a record of k 10 may be one person's"
        )
    else:
        persons = f"told apart by the column {_shown(asked.person_key)}; rows with the same value there are one person"
    if asked.legal_basis is None:
        consent = "people who agreed to synthetic release; case files without a consent column are refused"
    else:
        consent = f"NOBODY'S ASKED where the case files have no consent column; the ground instead: {_shown(asked.legal_basis)}"
    return [
        f"request    {_shown(asked.number)}, of {_shown(asked.created)}",
        f"dataset    {asked.dataset}: its accounts become unbounded for good",
        f"ledger     {_shown(asked.ledger)}",
        "           the mark goes into the ledger of this id, which was made with it; compare the id with the one that `casehaven ledger show`",
        "           prints for the ledger that pays for this dataset. If they differ, do not approve: your ledger would go on as if nothing was made",
        f"records    {_shown(asked.source)}",
        *_whose_mark(asked.source),
        f"schema     {_schema(asked.schema_sha256)}",
        f"file       k {asked.k}, {asked.mode}",
        f"title      {_shown(asked.title)}",
        f"people     {asked.people_cap} at most, the public bound",
        f"persons    {persons}",
        f"consent    {consent}",
        f"reason     {_shown(asked.reason)}",
    ]


def _shown(text: str) -> str:
    """Text of a file that somebody else wrote: nothing in it can change how the screen is read."""
    return text if text.isprintable() else ascii(text)


def _whose_mark(source: str) -> tuple[str, str]:
    """Who will know, beside the ledger, that a k-synthetic file was made."""
    if source.startswith(VAULT):
        return (
            "           the vault of this id, and no case files. It keeps a mark of its own. Compare the id with the one that",
            "           `casehaven vault status` prints for the vault that keeps this dataset",
        )
    return (
        "           case files, in the words of whoever asks; nobody checks which. Nothing but the ledger above will know,",
        "           and under another ledger or another name they can be released again",
    )


def _schema(digest: str) -> str:
    """The digest of a schema, and which shipped one has it."""
    for name in shipped_schema_ids():
        if load_schema(name).digest() == digest:
            return f"{name}, digest {digest}"
    return f"digest {_shown(digest)}, of no shipped schema; compare with `casehaven schema show FILE`"


def _warn() -> None:
    """Name what is known to break such a file."""
    click.echo(f"warning    {WARNING}")
    for attack in ATTACKS:
        click.echo(f"attack     {attack.name}: {attack.how}")
