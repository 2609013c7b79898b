"""`casehaven person`: find, show, correct, record consent, export, erase, and see possible duplicates; each with a reason that is logged."""

from __future__ import annotations

from datetime import date
from functools import wraps
from pathlib import Path
from typing import Any

import click

from casehaven.cli._person_server import There, receipt_name
from casehaven.cli._server import chosen_server, connected, server_option, sign_in_option
from casehaven.cli._vault import chosen_dataset, dataset_option, open_vault, root_key_option, vault_option
from casehaven.people import People, parse_purpose, view_lines
from casehaven.people.consent import PURPOSE_LABELS, PURPOSES, consent_lines
from casehaven.people.errors import ExistingPersonFileError, NotConfirmedError
from casehaven.people.export import SUFFIXES, check_target, write_export
from casehaven.people.service import check_reason, check_text
from casehaven.people.view import PersonView
from casehaven.vault.erasure import ErasureReceipt, signed_receipt
from casesynth._files import write_whole
from casesynth.report.markup import visible

reason_option = click.option(
    "--reason", help="Why. It is sealed in the audit log; write no names.  [asked for if not given]"
)
_STAYS_OUTSIDE = (
    "a file that still holds this person would bring them back as somebody new: take them out of the source too"
)

reference_argument = click.argument("reference", required=False)


class _Day(click.ParamType[date]):
    """A day, as YYYY-MM-DD."""

    name = "YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Return the day, or a usage error."""
        try:
            return value if isinstance(value, date) else date.fromisoformat(value)
        except ValueError:
            self.fail("a day is written YYYY-MM-DD", param, ctx)


def _shared(function: Any) -> Any:
    """Add the options of every command here, and hand the command the people of a dataset here, or a dataset of a server; and a reason."""

    @server_option
    @sign_in_option
    @vault_option
    @root_key_option
    @dataset_option
    @reason_option
    @wraps(function)
    def command_with_either(
        *,
        server: str | None,
        handle: str | None,
        vault_path: Path,
        root_spec: str,
        dataset_id: str | None,
        reason: str | None,
        **rest: Any,
    ) -> None:
        asked = chosen_server("vault_path", "root_spec")
        if asked is None:
            vault = open_vault(vault_path, root_spec)
            function(people=People(vault, chosen_dataset(vault, dataset_id)), there=None, reason=reason, **rest)
            return
        with connected(asked, handle) as client:
            function(people=None, there=There.open(client, dataset_id), reason=reason, **rest)

    return command_with_either


@click.group("person")
def command() -> None:
    """Find, show, correct and erase one person's records, and record their consent.

    A person is found by REFERENCE: the case reference or the person token of your own case files. Leave it away to be asked for it, so that it does not stay in the
    history of the shell. Every look-up needs a reason and is in the audit log.
    """


@command.command("find")
@reference_argument
@_shared
def find(people: People | None, there: There | None, reason: str | None, reference: str | None) -> None:
    """Say whether a person is in the dataset."""
    if there is not None:
        there.find(_asked(reference), _reason(reason))
        return
    assert people is not None
    person = people.find(_asked(reference), reason=_reason(reason))
    click.echo(f"found in {people.dataset.id}, in the vault since {person.created_month}")


@command.command("show")
@reference_argument
@click.option("--history", is_flag=True, help="Also what corrections replaced.")
@_shared
def show(people: People | None, there: There | None, reason: str | None, reference: str | None, history: bool) -> None:
    """Show what the dataset has on a person: consent and records."""
    if there is not None:
        there.show(_asked(reference), _reason(reason), history=history)
        return
    assert people is not None
    _print(people.read(_asked(reference), reason=_reason(reason)), history=history)


@command.command("correct")
@reference_argument
@click.option(
    "--set",
    "settings",
    multiple=True,
    required=True,
    metavar="ATTRIBUTE[=VALUE]",
    help="What to change, several times if need be. Without =VALUE you are asked for it; an empty value takes the answer away.",
)
@click.option("--record", type=int, help="Which record, as `show` numbers them.  [needed if there are several]")
@_shared
def correct(
    people: People | None,
    there: There | None,
    reason: str | None,
    reference: str | None,
    settings: tuple[str, ...],
    record: int | None,
) -> None:
    """Correct a record. What it held before stays and can be read with `show --history`."""
    found, why = _asked(reference), _reason(reason)
    changes = {}
    for setting in settings:
        name, given, value = check_text(setting, "the value").partition("=")
        changes[name.strip()] = value if given else click.prompt(f"New value of {name}", default="", err=True)
    if there is not None:
        there.correct(found, why, changes, record)
    else:
        assert people is not None
        _print(people.correct(found, changes, reason=why, record=record), history=True)
    click.echo("\ncorrected; own statistics and releases made from now on use it")


@command.command("consent")
@reference_argument
@click.option("--purpose", help=f"One of {', '.join(PURPOSES)}.")
@click.option("--given", is_flag=True, help="The person said yes.")
@click.option("--refused", is_flag=True, help="The person said no, or withdrew an earlier yes.")
@click.option("--language", default="", help="Language that it was explained in, such as fr.  [needed for a yes]")
@click.option("--dated", type=_Day(), help="Day when the person said so.  [default: today]")
@_shared
def consent(
    people: People | None,
    there: There | None,
    reason: str | None,
    reference: str | None,
    purpose: str | None,
    given: bool,
    refused: bool,
    language: str,
    dated: date | None,
) -> None:
    """Show a person's consent, or record what they said about one purpose.

    There is no consent by default. A no stops every use for that purpose from now on; what was released before stays.
    """
    if given and refused:
        raise click.UsageError("give either --given or --refused: a person cannot have said both")
    if (purpose is None) == (given or refused):
        raise click.UsageError("to record consent, give --purpose and either --given or --refused")
    if there is not None:
        if purpose is None:
            there.show_consent(_asked(reference), _reason(reason))
            return
        about = parse_purpose(purpose)
        found, why = _asked(reference), _reason(reason)
        version = there.client.people.consent(
            there.dataset, found, purpose=about, given=given, reason=why, language=language, dated=dated
        )
        _say_consent(f"{PURPOSE_LABELS[about]}, {'yes' if given else 'no'}, version {version}", given=given)
        return
    assert people is not None
    found, why = _asked(reference), _reason(reason)
    if purpose is None:
        view = people.read(found, reason=why)
        click.echo("\n".join(consent_lines(view.consent)))
        return
    about = parse_purpose(purpose)
    added = people.record_consent(found, about, given=given, reason=why, language=language, dated=dated)
    said = f"{PURPOSE_LABELS[about]}, {'yes' if added.given else 'no'}, {added.dated}, version {added.version}"
    _say_consent(said, given=added.given)


def _say_consent(said: str, *, given: bool) -> None:
    click.echo(f"recorded: {said}")
    if not given:
        click.echo("what was released before stays; nothing new will use these records for this purpose")


@command.command("export")
@reference_argument
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help=f"New file to write: {', '.join(SUFFIXES)}.",
)
@_shared
def export(people: People | None, there: There | None, reason: str | None, reference: str | None, output: Path) -> None:
    """Write everything on one person into a file, for that person."""
    check_target(output)
    found, why = _asked(reference), _reason(reason)
    if there is not None:
        there.export(found, why, output)
    else:
        assert people is not None
        write_export(people.read(found, reason=why, action="person.export"), output)
    click.echo(f"wrote {output}")
    click.echo("it holds a case in the clear: give it to the person and destroy it", err=True)


@command.command("erase")
@reference_argument
@click.option(
    "--receipt",
    "receipt_path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="New file for the receipt.  [default: casehaven-erasure-NUMBER.json]",
)
@click.option("--yes", is_flag=True, help="Do not ask again.")
@click.option(
    "--receipt-again",
    type=click.IntRange(1, 2**63 - 1),
    metavar="NUMBER",
    help="Write the receipt of an earlier erasure again.",
)
@_shared
def erase(
    people: People | None,
    there: There | None,
    reason: str | None,
    reference: str | None,
    receipt_path: Path | None,
    yes: bool,
    receipt_again: int | None,
) -> None:
    """Erase a person for good: destroy the key, the records and every trace, and write a receipt."""
    _refuse_existing(receipt_path)
    if receipt_again is not None:
        if reference is not None:
            raise click.UsageError("give either a REFERENCE to erase or --receipt-again NUMBER")
        if there is not None:
            there.receipt_again(receipt_again, _reason(reason), receipt_path)
            return
        assert people is not None
        _write_receipt(people, people.receipt_again(receipt_again, reason=_reason(reason)), receipt_path)
        return
    found, why = _asked(reference), _reason(reason)
    if there is not None:
        there.find(found, why)
        if not yes:
            _confirm("This cannot be undone, not from a backup either.")
        there.erase(found, why, receipt_path)
        click.echo(_STAYS_OUTSIDE, err=True)
        return
    assert people is not None
    person = people.find(found, reason=why)
    click.echo(f"found in {people.dataset.id}, in the vault since {person.created_month}", err=True)
    if not yes:
        _confirm("This cannot be undone, not from a backup either.")
    click.echo(f"erasing; the number of the receipt is {person.person_id}", err=True)
    _write_receipt(people, people.erase(found, reason=why), receipt_path)
    click.echo(_STAYS_OUTSIDE, err=True)


@command.command("duplicates")
@click.option(
    "--most",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Show so many at most, the most telling first.",
)
@_shared
def duplicates(people: People | None, there: There | None, reason: str | None, most: int) -> None:
    """List people of the organisation who may be one person under two references. Nothing is merged."""
    if there is not None:
        there.duplicates(check_reason(_reason(reason)), min(most, 200))
        return
    assert people is not None
    vault = people.vault
    if not people.compared():
        click.echo(f"{people.dataset.schema.id} has no fields that identify people, so there is nothing to compare")
        return
    why = check_reason(_reason(reason))
    found = people.possible_duplicates(reason=why)
    if not found:
        click.echo("no possible duplicates")
        return
    for pair in found[:most]:
        ends = [vault.person(number) for number in (pair.first, pair.second)]
        homes = [People(vault, vault.dataset_of(person)) for person in ends]
        views = [home.read_person(person, reason=why) for home, person in zip(homes, ends, strict=True)]
        names = [f"{visible(homes[place].reference_of(views[place]))} ({homes[place].dataset.id})" for place in (0, 1)]
        click.echo(f"{names[0]}  and  {names[1]}: same {' and same '.join(pair.labels(homes[0].dataset))}")
    if len(found) > most:
        click.echo(f"and {len(found) - most:,} more; see them with --most")
    click.echo()
    click.echo(
        "look at both with `casehaven person show`. If they are one person, give both the same person token in your case files and erase the other"
    )


@command.command("retention")
@reference_argument
@click.option("--until", type=_Day(), help="Last day on which this person's records may be kept.")
@click.option("--no-end", is_flag=True, help="Take this person's last day away.")
@click.option("--months", type=int, help="Give everybody without a last day one, so many months after they came.")
@click.option("--due", is_flag=True, help="List the people whose last day is past.")
@click.option("--erase-due", is_flag=True, help="Erase the people whose last day is past, with a receipt for each.")
@click.option(
    "--receipts",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("."),
    show_default=True,
    help="Folder for the receipts of --erase-due.",
)
@click.option("--yes", is_flag=True, help="Do not ask again.")
@_shared
def retention(
    people: People | None,
    there: There | None,
    reason: str | None,
    reference: str | None,
    until: date | None,
    no_end: bool,
    months: int | None,
    due: bool,
    erase_due: bool,
    receipts: Path,
    yes: bool,
) -> None:
    """Say how long records may be kept, and who is due. A timer erases nobody by itself."""
    if sum((until is not None, no_end, months is not None, due, erase_due)) != 1:
        raise click.UsageError("give one of --until, --no-end, --months, --due and --erase-due")
    if reference is not None and (months is not None or due or erase_due):
        raise click.UsageError("--months, --due and --erase-due are for the whole dataset; leave REFERENCE away")
    if until is not None or no_end:
        found, why = _asked(reference), _reason(reason)
        if there is not None:
            there.keep_until(found, why, until)
            return
        assert people is not None
        kept = people.keep_until(found, until, reason=why)
        click.echo("kept without a last day" if kept.retain_until is None else f"kept until {kept.retain_until}")
        return
    why = _reason(reason)
    if erase_due and not yes:
        where = there.dataset if there is not None else people.dataset.id if people is not None else ""
        _confirm(f"Everybody in {where} whose last day is past will be erased. This cannot be undone.")
    if there is not None:
        if months is not None:
            there.keep_all_for(months, why)
        elif due:
            there.due(why)
        else:
            there.erase_due(why, receipts)
        return
    assert people is not None
    _retain_here(people, why, months=months, due=due, receipts=receipts)


def _retain_here(people: People, why: str, *, months: int | None, due: bool, receipts: Path) -> None:
    if months is not None:
        people.keep_all_for(months, reason=why)
        click.echo(f"everybody in {people.dataset.id} has a last day now; see who is due with --due")
        return
    if due:
        views = people.due(reason=why)
        for view in views:
            click.echo(f"{visible(people.reference_of(view))}  was kept until {view.person.retain_until}")
        click.echo("erase them with --erase-due, or give some a later day with --until" if views else "nobody is due")
        return
    receipts.mkdir(mode=0o700, exist_ok=True)
    erased = False
    for receipt in people.erase_due(reason=why):
        _write_receipt(people, receipt, receipts / receipt_name(receipt.person_id))
        erased = True
    if not erased:
        click.echo("nobody was due")


# --- within ---


def _asked(reference: str | None) -> str:
    """Return the reference as given, or ask for it: what is typed there stays out of the history of the shell."""
    asked = reference if reference is not None else click.prompt("Case reference", err=True)
    return check_text(asked, "the case reference")


def _reason(reason: str | None) -> str:
    return reason if reason is not None else click.prompt("Reason (no names)", err=True)


def _confirm(warning: str) -> None:
    click.echo(warning, err=True)
    if click.prompt("Type ERASE to go on", default="", show_default=False, err=True) != "ERASE":
        raise NotConfirmedError("nothing was erased: the word ERASE was not typed")


def _print(view: PersonView, *, history: bool) -> None:
    for line in view_lines(view, history=history):
        click.echo(line)


def _refuse_existing(path: Path | None) -> None:
    if path is not None and (path.exists() or path.is_symlink()):
        raise ExistingPersonFileError(f"{path} is there already")


def _write_receipt(people: People, receipt: ErasureReceipt, path: Path | None) -> None:
    path = Path(receipt_name(receipt.person_id)) if path is None else path
    try:
        write_whole(path, signed_receipt(people.vault, receipt), mode=0o600, replace=False)
    except FileExistsError:
        raise ExistingPersonFileError(f"{path} is there already; the person is erased") from None
    click.echo(f"erased in {receipt.erased_month}; wrote the receipt {path}")
