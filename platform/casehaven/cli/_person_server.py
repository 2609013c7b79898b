"""One person of a server's dataset on the command line: the same verbs, the same words, and receipts as files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import click

from casehaven.client import Client, NotThereError, Receipt
from casehaven.client.fields import Fields
from casehaven.client.people import ERASED_AT_ONCE
from casehaven.client.plain_text import one_line
from casehaven.people.consent import ConsentHistory, ConsentVersion, consent_lines, parse_purpose
from casehaven.people.errors import ConsentFactError, ExistingPersonFileError
from casesynth._files import write_whole

_CELL = 2_000


@dataclass(frozen=True, kw_only=True)
class There:
    """A dataset of a server."""

    client: Client
    dataset: str

    @classmethod
    def open(cls, client: Client, dataset_id: str | None) -> There:
        """Take the dataset that is named, or the only one that is reached."""
        if dataset_id is not None:
            return cls(client=client, dataset=dataset_id)
        names = [dataset.id for dataset in client.datasets.list()]
        if len(names) != 1:
            shown = ", ".join(one_line(name) for name in names[:12])
            raise click.UsageError(f"name the dataset with --dataset; you reach {shown or 'none'}")
        return cls(client=client, dataset=names[0])

    def find(self, reference: str, reason: str) -> None:
        """Say that somebody is there."""
        if not self.client.people.find(self.dataset, reference, reason=reason):
            raise NotThereError(status=404, code="unknown-person", title="nobody is there under this reference")
        click.echo(f"found in {self.dataset}")

    def show(self, reference: str, reason: str, *, history: bool) -> None:
        """Show what the dataset has on a person."""
        self._print(self.client.people.show(self.dataset, reference, reason=reason), history=history)

    def show_consent(self, reference: str, reason: str) -> None:
        """Show a person's consent."""
        document = self.client.people.show(self.dataset, reference, reason=reason)
        click.echo("\n".join(consent_lines(_consent(Fields(document, "person")))))

    def correct(self, reference: str, reason: str, changes: Mapping[str, str], record: int | None) -> None:
        """Correct a record, and show the person."""
        found = self.client.people.correct(self.dataset, reference, changes, reason=reason, record=record)
        self._print(found, history=True)

    def export(self, reference: str, reason: str, output: Path) -> None:
        """Write everything on a person into a new file that only its owner reads."""
        kind: Any = output.suffix.lower().removeprefix(".")
        text = self.client.people.export(self.dataset, reference, reason=reason, kind=kind)
        try:
            write_whole(output, text.encode("utf-8", "surrogatepass"), mode=0o600, replace=False)
        except FileExistsError:
            raise ExistingPersonFileError(f"{output} is there already") from None

    def erase(self, reference: str, reason: str, receipt_path: Path | None) -> None:
        """Erase a person, and write the receipt."""
        write_receipt(self.client.people.erase(self.dataset, reference, reason=reason), receipt_path)

    def receipt_again(self, number: int, reason: str, receipt_path: Path | None) -> None:
        """Write the receipt of an earlier erasure again."""
        write_receipt(self.client.people.receipt(self.dataset, str(number), reason=reason), receipt_path)

    def duplicates(self, reason: str, most: int) -> None:
        """List possible duplicates."""
        found = self.client.people.duplicates(self.dataset, reason=reason, most=most)
        if not found.comparable:
            click.echo("the schema has no fields that identify people, so there is nothing to compare")
            return
        if not found.items:
            click.echo("no possible duplicates")
            return
        for pair in found.items:
            names = [f"{one_line(reference)} ({one_line(dataset)})" for reference, dataset in pair.people]
            click.echo(f"{'  and  '.join(names)}: same {' and same '.join(map(one_line, pair.same))}")
        if found.cut:
            click.echo("and more; see them with --most")
        click.echo()
        click.echo(
            "look at both with `casehaven person show`. If they are one person, give both the same person token in your case files and erase the other"
        )

    def keep_until(self, reference: str, reason: str, until: date | None) -> None:
        """Set or take away a last day."""
        self.client.people.keep_until(self.dataset, reference, until, reason=reason)
        click.echo("kept without a last day" if until is None else f"kept until {until}")

    def keep_all_for(self, months: int, reason: str) -> None:
        """Give everybody a last day."""
        self.client.people.keep_all_for(self.dataset, months, reason=reason)
        click.echo(f"everybody in {self.dataset} has a last day now; see who is due with --due")

    def due(self, reason: str) -> None:
        """List who is due."""
        found = self.client.people.due(self.dataset, reason=reason)
        for person in found.items:
            click.echo(f"{one_line(person.reference)}  was kept until {one_line(person.kept_until)}")
        if found.cut:
            click.echo("and more")
        click.echo(
            "erase them with --erase-due, or give some a later day with --until" if found.items else "nobody is due"
        )

    def erase_due(self, reason: str, receipts: Path) -> None:
        """Erase who is due, and write their receipts."""
        receipts.mkdir(mode=0o700, exist_ok=True)
        erased = 0
        while made := self.client.people.erase_due(self.dataset, reason=reason):  # their receipts, before the next ones
            for receipt in made:
                write_receipt(receipt, receipts / receipt_name(receipt.number))
            erased += len(made)
            if len(made) < ERASED_AT_ONCE:
                break
        if not erased:
            click.echo("nobody was due")

    def _print(self, document: Mapping[str, Any], *, history: bool) -> None:
        for line in person_lines(document, history=history):
            click.echo(line)


def receipt_name(number: object) -> str:
    """Return what the file of a receipt is called."""
    return f"casehaven-erasure-{number}.json"


def write_receipt(receipt: Receipt, path: Path | None) -> None:
    """Write a receipt into a new file.

    Raises:
        ExistingPersonFileError: something is there; the person is erased.
    """
    place = Path(receipt_name(receipt.number)) if path is None else path
    try:
        write_whole(place, receipt.signed, mode=0o600, replace=False)
    except FileExistsError:
        raise ExistingPersonFileError(f"{place} is there already; the person is erased") from None
    click.echo(f"erased in {receipt.erased_month}; wrote the receipt {place}")


def person_lines(document: Mapping[str, Any], *, history: bool) -> Iterator[str]:
    """Yield the plain lines of a person as the server tells of them; with `history`, also what every correction replaced."""
    fields = Fields(document, "person")
    schema, kept = fields.inner("schema"), fields.maybe_text("kept_until")
    yield f"dataset   {one_line(fields.text('dataset'))}, schema {one_line(schema.text('id'))} {one_line(schema.text('version'))}"
    yield f"in vault  since {one_line(fields.text('in_vault_since'))}"
    yield f"kept      {'until ' + one_line(kept) if kept is not None else 'no end date set'}"
    for place, line in enumerate(consent_lines(_consent(fields))):
        yield f"{'consent' if place == 0 else '':<9} {line}"
    records = fields.each("records", lambda one: one)
    for number, record in enumerate(records, start=1):
        yield ""
        yield f"record {number} of {len(records)}"
        yield from _cells(record.each("cells", _cell), "  ")
        replaced = record.all.get("replaced") or []
        if replaced and not history:
            yield "  (was corrected; see what it replaced with --history)"
        for back, older in enumerate(replaced if history else (), start=1):
            yield "  before the last correction:" if back == 1 else "  before the correction before that:"
            yield from _cells(Fields({"cells": older}, "record").each("cells", _cell), "    ")


def _cell(fields: Fields) -> tuple[str, str]:
    label, name = one_line(fields.text("label")), one_line(fields.text("attribute"))
    meaning = one_line(fields.text("meaning", most=1_000_000), _CELL)
    return (f"{label} [{name}]" if label else name), meaning


def _cells(cells: tuple[tuple[str, str], ...], margin: str) -> Iterator[str]:
    shown = [(label, meaning) for label, meaning in cells if meaning]
    width = max((len(label) for label, _ in shown), default=0)
    for label, meaning in shown:
        yield f"{margin}{label:<{width}}  {meaning}"


def _consent(fields: Fields) -> ConsentHistory:
    return ConsentHistory(versions=fields.each("consent", _version))


def _version(fields: Fields) -> ConsentVersion:
    dated = fields.maybe_text("dated")
    try:
        day = None if dated is None else date.fromisoformat(dated)
    except ValueError:
        raise ConsentFactError("the server's consent has a day that is none") from None
    return ConsentVersion(
        purpose=parse_purpose(fields.text("purpose")),
        version=fields.whole("version"),
        given=fields.flag("given"),
        language=one_line(fields.maybe_text("language") or ""),
        dated=day,
        recorded_at=one_line(fields.text("recorded_at")),
    )
