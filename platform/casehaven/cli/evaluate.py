"""`casehaven evaluate`: the private report, which compares a release with the real records behind it. After the decision, or with a mark for good."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import click

from casehaven.cli._ledger import ledger_option
from casehaven.cli._vault import open_vault, root_key_option, vault_option
from casehaven.cli.keys import key_option, load_signing_key
from casehaven.errors import CasehavenError
from casehaven.evaluation import (
    OpenReal,
    case_files,
    check_passphrase,
    compare,
    new_passphrase,
    report_lines,
    report_page,
    sealed_report,
)
from casehaven.evaluation.opening import datasets_of, own_signer, people_cap_of, receipt_of, tokens_of
from casehaven.ledger import Ledger, check_report_may_open
from casehaven.people.service import check_reason
from casehaven.releases.decision import DrawnRelease, drawn_release, open_report
from casehaven.releases.published import PublishedRelease, open_release, verified_facts
from casesynth._files import write_whole


class ReportFileError(CasehavenError):
    """A private report would be written where it must not be."""


@click.command("evaluate")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE...]")
@click.option(
    "--from",
    "sources",
    multiple=True,
    metavar="ORGANISATION/DATASET",
    help="A dataset of the vault that paid for the release.",
)
@click.option(
    "--schema",
    "schema_name",
    help="Id of a shipped schema, or a schema file.  [default: the one that the bundle names]",
)
@click.option(
    "--organisation", "organisations", multiple=True, help="Whose each FILE is, in the same order; as for the release."
)
@click.option("--person-key", help="Column that tells persons apart in FILEs.  [default: the schema's person key]")
@click.option(
    "--ignore-column", "ignored", multiple=True, help="A column of FILEs beside the schema's; it is not read."
)
@click.option("--no-attacks", is_flag=True, help="Leave the attacks out.")
@click.option(
    "--before-decision",
    is_flag=True,
    help="Open the report although nothing was decided about this release, or about another one of the same datasets: each of those is marked for good.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a sealed page (.html) instead of showing the report; a passphrase opens it in a browser.",
)
@click.option(
    "--to-screen",
    is_flag=True,
    help="Show the report although standard output is no terminal, such as to a pager; never into a file.",
)
@click.option("--passphrase", "own_passphrase", is_flag=True, help="Ask for the passphrase instead of making one.")
@click.option("--reason", help="What for. It is sealed in the audit log; write no names.  [asked for if not given]")
@vault_option
@root_key_option
@ledger_option
@key_option
def command(
    bundle: Path,
    files: tuple[Path, ...],
    sources: tuple[str, ...],
    schema_name: str | None,
    organisations: tuple[str, ...],
    person_key: str | None,
    ignored: tuple[str, ...],
    no_attacks: bool,
    before_decision: bool,
    output: Path | None,
    to_screen: bool,
    own_passphrase: bool,
    reason: str | None,
    vault_path: Path,
    root_spec: str,
    path: Path,
    key_path: Path,
) -> None:
    """Compare a release with the real records behind it: errors by length, size and subgroup, and attacks. For the steward alone.

    It opens after the decision (`casehaven decide`). The numbers are exact: they are shown, or sealed into a file, and never written in the clear.
    """
    if bool(files) == bool(sources):
        raise click.UsageError("name case FILEs, or datasets of the vault with --from; not both")
    if output is None:
        _check_screen(to_screen)
    elif to_screen:
        raise click.UsageError("a report is shown, or sealed into a file; --to-screen or -o, not both")
    else:
        _check_target(output)
    ledger, key = Ledger.open(path), load_signing_key(key_path)
    drawn = drawn_release(bundle, ledger, key)
    check_report_may_open(drawn.decision, before_decision=before_decision)
    release = open_release(verified_facts(bundle, own_signer(key)), schema_name)
    if sources:
        why = check_reason(reason if reason is not None else click.prompt("What for (no names)", err=True))
        open_real = datasets_of(open_vault(vault_path, root_spec), release, drawn, sources, why)
    else:
        open_real = _from_files(release, drawn, files, organisations, person_key, ignored)
    passphrase = _passphrase(output, own_passphrase)
    # privacy rule 33: the ledger and the bundle say so before a record is opened
    decision = open_report(drawn, ledger, key, before_decision=before_decision)
    if decision.used_private_data:
        click.echo("mark       decision used private data: not covered; bundle and ledger say so for good", err=True)
        release = open_release(verified_facts(bundle, own_signer(key)), schema_name)  # it was signed anew
    for charge in drawn.decision.undecided_beside:
        click.echo(
            f"mark       charge {charge}: decision used private data: not covered; the ledger says so for good, and its bundle once it is decided about",
            err=True,
        )
    real = open_real(decision)
    report = compare(release, decision, real, attacks=not no_attacks)
    if output is None:
        for line in report_lines(report):
            click.echo(line)
        return
    _write(output, sealed_report(report_page(report), passphrase))
    click.echo(f"wrote      {output}, sealed; open it in a browser")
    if not own_passphrase:
        click.echo(f"passphrase {passphrase}  (shown once; keep it apart from the file)")


def _passphrase(output: Path | None, own: bool) -> str:
    if output is None or not own:
        return new_passphrase()
    if not sys.stdin.isatty():
        return check_passphrase(sys.stdin.readline())
    return check_passphrase(
        click.prompt("Passphrase for the report", hide_input=True, confirmation_prompt=True, err=True)
    )


def _check_screen(to_screen: bool) -> None:
    """Refuse to show exact numbers where a redirect would keep them in the clear."""
    if sys.stdout.isatty():
        return
    if not to_screen:
        raise ReportFileError(
            "standard output is no terminal: exact numbers are shown on a screen or sealed into a file with -o; --to-screen shows them through a pipe"
        )
    try:
        kind = os.fstat(sys.stdout.fileno()).st_mode
    except OSError:  # no descriptor: a stream inside the process
        return
    if stat.S_ISREG(kind):
        raise ReportFileError("standard output is a file: exact numbers are never written in the clear; -o seals them")


def _check_target(output: Path) -> None:
    if output.suffix.lower() != ".html":
        raise ReportFileError("the name of the file must end in .html")
    if output.exists() or output.is_symlink():
        raise ReportFileError(f"{output} is there already")


def _write(output: Path, content: str) -> None:
    try:
        write_whole(output, content.encode(), mode=0o600, replace=False)
    except FileExistsError:
        raise ReportFileError(f"{output} is there already") from None


def _from_files(
    release: PublishedRelease,
    drawn: DrawnRelease,
    files: tuple[Path, ...],
    organisations: tuple[str, ...],
    person_key: str | None,
    ignored: tuple[str, ...],
) -> OpenReal:
    separate = release.facts.organisations > 1 and tokens_of(drawn) == "separate"
    if separate and len(organisations) != len(files):
        raise click.UsageError(
            "tokens are each organisation's own: name --organisation once per FILE, as for the release"
        )
    legal_basis = drawn.manifest.facts.get("legal_basis")
    return case_files(
        files,
        release.schema,
        people_cap=people_cap_of(drawn),
        person=None if release.facts.unit == "record" else (person_key or release.schema.person_key),
        organisations=organisations if separate else None,
        legal_basis=legal_basis if isinstance(legal_basis, str) else None,
        ignored=ignored,
        receipt=receipt_of(drawn),
    )
