"""A case file into a dataset of a server, as `casehaven intake --server` does it: sent, proposed, shown, confirmed, taken in.

1. The order and the screen are those of an intake here: nothing guessed is used without a yes, and nothing is taken in before the dry run was on the screen.
2. The server reads the file. What it says of it is shown by the same functions, and in the words of this organisation's own terminal.
3. What a server does not take as an option goes through the mapping: save it, correct it, and send it with `--mapping`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import click

from casehaven.cli import _intake_screen as screen
from casehaven.cli._intake_screen import Taken
from casehaven.cli._mapping_options import MappingWishes
from casehaven.cli._mapping_session import MappingSession, phase
from casehaven.cli._server import job_progress
from casehaven.client import Client, Committed, NotThereError, Proposal, UnexpectedAnswerError, Upload, new_key
from casehaven.client.fields import Fields
from casehaven.client.plain_text import one_line
from casehaven.intake.check import AttributeFinding, CheckReport, RefusedRow
from casehaven.intake.errors import PersonUndecidedError, RefusedRowsError, UnconfirmedMappingError
from casehaven.intake.intake_mapping import Dropped, IntakeMapping
from casehaven.intake.mapping_document import load_intake_mapping, parse_intake_mapping
from caseschemas import CaseSchema, load_schema, parse_schema
from caseschemas.errors import MappingFaultsError

_ONLY_HERE = ("ignored", "record_key", "leave_out", "keep_all", "minors", "date_order", "calendar", "form")
"""Wishes about a mapping that only a file here can be tried under."""


@dataclass(frozen=True, kw_only=True)
class ServerDataset:
    """A dataset of a server that files are sent to."""

    client: Client
    name: str
    """organisation/dataset."""
    schema: CaseSchema
    wishes: MappingWishes

    @classmethod
    def open(
        cls,
        client: Client,
        organisation: str,
        name: str | None,
        schema_name: str,
        people_cap: int | None,
        wishes: MappingWishes,
    ) -> Self:
        """Find the dataset, or make it where it is new and a bound on its people is declared.

        Raises:
            NotThereError: there is none for this token.
            click.UsageError: it has another schema, or an option is for what lies here.
        """
        for one in _ONLY_HERE:
            if getattr(wishes, one):
                raise click.UsageError(
                    "options that change a mapping are for a vault here; with --server save the mapping with --save-mapping, correct it, and send it with --mapping"
                )
        schema = load_schema(schema_name)
        dataset = f"{organisation}/{schema.id if name is None else name}"
        try:
            there = client.datasets.get(dataset)
        except NotThereError as error:
            if people_cap is None or wishes.dry_run:
                error.add_note(
                    "correct the name; if the dataset is new, add --people-cap: a public bound on its people"
                )
                raise
            client.datasets.create(dataset, schema=schema.id, people_cap=people_cap)
            there = client.datasets.get(dataset)
        if there.schema_sha256 != schema.digest():
            raise click.UsageError(
                f"{dataset} has the schema {one_line(there.schema)}, and {schema_name} is another one"
            )
        if people_cap not in (None, there.people_cap):
            raise click.UsageError(f"{dataset} has the people cap {there.people_cap}; leave --people-cap away")
        found = parse_schema(client.datasets.schema(dataset), name="the server's schema")
        return cls(client=client, name=dataset, schema=found, wishes=wishes)

    def take(
        self, path: Path, *, keep: Sequence[str], again: bool, same_people: bool, older: bool, refused: bool
    ) -> None:
        """Send one file and take it in, or say what that would do."""
        if refused:
            raise click.UsageError(
                "--refused is for a vault here: a server leaves refused rows behind, or refuses the file"
            )
        upload = self._sent(path)
        try:
            done = self._taken(path, upload, keep=keep, again=again, same_people=same_people, older=older)
        except BaseException:
            self._destroy(upload)
            raise
        if done is None:
            self._destroy(upload)
            return
        screen.show_taken(
            path.name,
            self.name,
            Taken(
                repeated=done.repeated,
                changed=done.changed,
                records=done.new + done.corrected,
                corrected=done.corrected,
                unchanged=done.there_already,
            ),
        )

    # --- steps ---

    def _sent(self, path: Path) -> Upload:
        with phase("send") as tick:
            return self.client.uploads.send(path, self.name, sent=lambda done, whole: tick(done / whole))

    def _destroy(self, upload: Upload) -> None:
        """Leave no raw file behind; one that was taken in is gone already."""
        self.client.uploads.destroy(upload)

    def _taken(
        self, path: Path, upload: Upload, *, keep: Sequence[str], again: bool, same_people: bool, older: bool
    ) -> Committed | None:
        first = self._proposed(upload, None if self.wishes.mapping is None else self._saved_mapping())
        if first.prepared:
            self._show_prepared(path, first)
            mapping, report = None, first
        else:
            mapping = self._decided(path, first)
            report = self._proposed(upload, mapping.accepted())
            self._show(path, mapping, report, same_people=same_people)
            self._session.save(mapping)
        if not self._confirmed(path):
            return None
        leave = report.report is not None and bool(report.report.get("refused_in_all")) and self._may_stay_behind(path)
        with job_progress() as progress:
            return self.client.uploads.commit(
                upload,
                mapping=None if mapping is None else json.loads(mapping.accepted().text()),
                leave_refused=leave,
                keep=keep,
                again=again,
                same_people=same_people,
                older_file=older,
                key=new_key(),
                progress=progress,
                **self._reading,
            )

    def _proposed(self, upload: Upload, mapping: IntakeMapping | None) -> Proposal:
        sent = None if mapping is None else json.loads(mapping.text())
        with job_progress() as progress:
            return self.client.uploads.propose(upload, mapping=sent, progress=progress, **self._reading)

    @property
    def _reading(self) -> dict[str, Any]:
        wishes = self.wishes
        return {
            "password": wishes.password,
            "encoding": wishes.encoding,
            "separator": "\t" if wishes.separator == "tab" else wishes.separator,
            "sheet": wishes.sheet,
        }

    @property
    def _session(self) -> MappingSession:
        return MappingSession(schema=self.schema, wishes=self.wishes)

    def _saved_mapping(self) -> IntakeMapping:
        assert self.wishes.mapping is not None
        return load_intake_mapping(self.wishes.mapping, self.schema)

    def _decided(self, path: Path, found: Proposal) -> IntakeMapping:
        wishes = self.wishes
        mapping = self._parsed(found)
        where = f"from {wishes.mapping.name}" if wishes.mapping is not None else "proposed by the server"
        if wishes.row_is_person or wishes.person_key:
            mapping = (
                screen.without_person(mapping, self.schema)
                if wishes.row_is_person
                else screen.with_person(mapping, self.schema, wishes.person_key)
            )
        screen.show_mapping(mapping, where=where)
        if screen.is_terminal() and not wishes.yes:
            answered = screen.ask_guesses(mapping, self.schema)
            if answered is None:
                raise UnconfirmedMappingError(f"{path.name}: stopped before anything was used; nothing was taken in")
            return screen.ask_person(answered, self.schema)
        if wishes.dry_run:
            return mapping
        if mapping.guesses and not (wishes.yes and wishes.mapping is not None):
            self._session.save(mapping)
            raise UnconfirmedMappingError(
                f"{path.name}: {len(mapping.guesses)} attributes rest on guesses, and nobody said yes to them"
            )
        if not screen.person_known(mapping, self.schema):
            self._session.save(mapping)
            raise PersonUndecidedError(f"{path.name}: no column is known to tell people apart")
        return mapping

    def _parsed(self, found: Proposal) -> IntakeMapping:
        try:
            return parse_intake_mapping(json.dumps(found.mapping).encode(), self.schema, name="the server's mapping")
        except MappingFaultsError:
            raise UnexpectedAnswerError("the server proposed a mapping that does not fit the schema") from None

    def _show(self, path: Path, mapping: IntakeMapping, found: Proposal, *, same_people: bool) -> None:
        tool = one_line(str(found.document.get("tool", "")), 40)
        click.echo(f"file       {path.name}: {tool}, read by the server")
        if found.report is None:
            click.echo("person     no column is known to tell people apart; say --person-key COLUMN or --row-is-person")
            return
        fields = Fields(_cleaned(found.report), "report")
        screen.show_report(mapping.accepted(), _report(fields), refused=fields.whole("refused_in_all"))
        screen.show_others(None, range(min(fields.whole("held_by_others"), 10**9)), same=same_people)
        screen.show_known_otherwise(fields.whole("known_otherwise"))

    def _show_prepared(self, path: Path, found: Proposal) -> None:
        fields = Fields(_cleaned(found.document), "proposal")
        when = fields.maybe_text("prepared_at") or "a time that it does not say"
        click.echo(f"prepared   {path.name}: at {when}; tokens {fields.text('token_rule')}")
        screen.show_findings(fields.inner("report").each("attributes", _finding))

    def _confirmed(self, path: Path) -> bool:
        if self.wishes.dry_run:
            click.echo(f"dry run    {path.name}: nothing was taken in")
            return False
        if self.wishes.yes:
            return True
        if not screen.is_terminal():
            raise UnconfirmedMappingError(f"{path.name}: there is nobody to ask; --yes takes it in as shown")
        if not click.confirm("Take it in?", default=False):
            raise UnconfirmedMappingError(f"{path.name}: nobody said yes; nothing was taken in")
        return True

    def _may_stay_behind(self, path: Path) -> bool:
        if self.wishes.yes or not click.confirm(
            "Take in the others, and leave the refused rows behind?", default=False
        ):
            fault = RefusedRowsError(f"{path.name}: some rows cannot be taken in; nothing was taken in")
            fault.add_note(
                f"correct the rows in {shlex.quote(path.name)}, or take it in at a terminal and leave them behind"
            )
            raise fault
        return True


def _cleaned(value: Any) -> Any:
    """Return a document every text of which can be shown."""
    if isinstance(value, str):
        return one_line(value, 500)
    if isinstance(value, Mapping):
        return {name: _cleaned(inner) for name, inner in value.items()}
    return [_cleaned(inner) for inner in value] if isinstance(value, list) else value


def _report(fields: Fields) -> CheckReport:
    numbers = {name: fields.whole(name) for name in ("rows", "taken", "empty", "repeated", "left_out", "minors")}
    return CheckReport(
        **numbers,
        refused=fields.each("refused", lambda one: RefusedRow(row=one.whole("row"), reason=one.text("reason"))),
        attributes=fields.each("attributes", _finding),
        unfilled=fields.texts("unfilled"),
        dropped=fields.each("dropped", lambda one: Dropped(column=one.text("column"), why=one.text("why"))),
        new_columns=fields.texts("new_columns"),
        notes=fields.texts("notes"),
    )


def _finding(fields: Fields) -> AttributeFinding:
    return AttributeFinding(
        to=fields.text("to"),
        source=fields.texts("source"),
        understood=fields.whole("understood"),
        not_understood=fields.whole("not_understood"),
        blank=fields.whole("blank"),
        kept=fields.flag("kept"),
        words=fields.texts("words"),
    )
