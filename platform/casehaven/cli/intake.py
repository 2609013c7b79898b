"""`casehaven intake`: case files into the vault.

1. Every file goes through a mapping, also one with the schema's own columns: proposed, shown, confirmed, tried, and only then sealed (`_mapping_session`).
   A prepared file alone went through it before, where it came from.
2. Without somebody to ask, `--yes` takes in what is certain; without it, nothing.
3. What is shown of the file goes to the terminal of the organisation and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from casehaven.cli import _intake_screen as screen
from casehaven.cli._intake_screen import Taken
from casehaven.cli._intake_server import ServerDataset
from casehaven.cli._mapping_options import MappingWishes, mapping_options
from casehaven.cli._mapping_session import MappingSession, phase
from casehaven.cli._server import chosen_server, connected, server_option
from casehaven.cli._vault import open_or_declare, open_vault, root_key_option, vault_option
from casehaven.intake.check import CheckReport, check_prepared
from casehaven.intake.errors import RefusedRowsError, UnconfirmedMappingError
from casehaven.intake.files import file_digest
from casehaven.intake.held import HeldSource
from casehaven.intake.intake_mapping import IntakeMapping
from casehaven.intake.known_people import known_otherwise
from casehaven.intake.mapped_file import MappedFile
from casehaven.intake.prepared_history import check_prepared_order, prepared_history, remember_prepared
from casehaven.intake.record_keys import held_by_others
from casehaven.intake.refused_rows import write_refused_rows
from casehaven.intake.remembered import marks, remember, remembered
from casehaven.intake.sealed_upload import is_prepared, open_prepared
from casehaven.intake.upload import CaseRecords, Upload, known_upload
from casehaven.intake.uploads import Within, take_in
from casehaven.vault.datasets import Dataset
from casehaven.vault.errors import DatasetMissingError
from casehaven.vault.store import Vault
from caseschemas import CaseSchema, load_schema
from casesynth.persons import PeopleCapError

_ANOTHER_DATASET = "for more people than that make another dataset with --dataset, which has a budget of its own"


@click.command("intake")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--organisation", required=True, help="Whose records they are.")
@click.option("--dataset", "name", help="Name of the dataset.  [default: the schema's id]")
@click.option("--schema", "schema_name", required=True, help="Id of a shipped schema, or a schema file.")
@click.option(
    "--people-cap",
    type=click.IntRange(min=1),
    help="The dataset is new: make it, with this public bound on its number of people.",
)
@click.option(
    "--keep",
    multiple=True,
    help="An identifier, or a column of free text, to keep, sealed; by default both are dropped.",
)
@mapping_options
@click.option("--refused", type=click.Path(path_type=Path, dir_okay=False), help="Seal refused rows into this file.")
@click.option("--again", is_flag=True, help="The mapping was corrected: take in a file that is there already.")
@click.option("--same-people", is_flag=True, help="A record key that another person holds is one of the same person.")
@click.option(
    "--older-file", "older", is_flag=True, help="Take in a prepared file that is older than one that is there."
)
@server_option
@vault_option
@root_key_option
def command(
    files: tuple[Path, ...],
    organisation: str,
    name: str | None,
    schema_name: str,
    people_cap: int | None,
    keep: tuple[str, ...],
    refused: Path | None,
    again: bool,
    same_people: bool,
    older: bool,
    server: str | None,
    vault_path: Path,
    root_spec: str,
    **options: Any,
) -> None:
    """Take case FILEs into the vault, each of them whole or not at all.

    The files are not changed. Once they are in the vault, destroy them where they are.
    """
    wishes = MappingWishes.take(options)
    asked = chosen_server("vault_path", "root_spec")
    if asked is not None:
        with connected(asked) as client:
            dataset_there = ServerDataset.open(client, organisation, name, schema_name, people_cap, wishes)
            for path in files:
                dataset_there.take(
                    path, keep=keep, again=again, same_people=same_people, older=older, refused=refused is not None
                )
        return
    vault = open_vault(vault_path, root_spec)
    dataset = open_or_declare(
        vault, organisation, name, schema_name, people_cap, dry_run=wishes.dry_run, another=_ANOTHER_DATASET
    )
    schema = load_schema(schema_name) if dataset is None else dataset.schema
    intake = _Intake(
        vault=vault,
        dataset=dataset,
        schema=schema,
        wishes=wishes,
        keep=keep,
        refused=refused,
        again=again,
        same_people=same_people,
        older=older,
    )
    for path in files:
        try:
            intake.take(path)
        except PeopleCapError as error:
            if dataset is not None:
                empty = vault.dataset(dataset.organisation, dataset.name).version == 0
                error.add_note(
                    "declare a larger --people-cap: nothing is in this dataset yet" if empty else _ANOTHER_DATASET
                )
            raise


@dataclass(frozen=True, kw_only=True)
class _Intake:
    """One run of the command."""

    vault: Vault
    dataset: Dataset | None
    """None: a dry run for a dataset that is not there yet."""
    schema: CaseSchema
    wishes: MappingWishes
    keep: tuple[str, ...]
    refused: Path | None
    again: bool
    same_people: bool
    older: bool

    def take(self, path: Path) -> None:
        """Take one file in, or say what that would do."""
        if path.is_file() and is_prepared(path):
            self._take_prepared(path)
            return
        if self.dataset is not None and not (self.wishes.dry_run or self.again) and path.is_file():
            there = known_upload(self.vault, self.dataset, file_digest(path))
            if there is not None:
                self._say(path, there)
                return
        self._take_mapped(path)

    def _take_mapped(self, path: Path) -> None:
        session = MappingSession(schema=self.schema, wishes=self.wishes, memory=self._remembered, keep=self.keep)
        held = session.read(path)
        file, report = session.tried(held, session.decide(held), again=self.again)
        others = [] if self.dataset is None else held_by_others(self.vault, self.dataset, file)
        screen.show_others(file, others, same=self.same_people)
        if self.dataset is not None:
            screen.show_known_otherwise(len(known_otherwise(self.vault, self.dataset, file)))
        if not self._confirmed(path, file, report) or self.dataset is None:
            return
        upload = self._seal(file)
        remember(self.vault, self.dataset, file.mapping, marks(held))
        self._say(path, upload)

    def _confirmed(self, path: Path, file: MappedFile | None = None, report: CheckReport | None = None) -> bool:
        """Whether somebody said yes to what was shown; False in a dry run."""
        if self.wishes.dry_run or self.dataset is None:
            click.echo(f"dry run    {path.name}: nothing was taken in")
            return False
        if not (self.wishes.yes or screen.is_terminal()):
            raise UnconfirmedMappingError(f"{path.name}: there is nobody to ask; --yes takes it in as shown")
        if file is not None and report is not None:
            self._refuse_rows(self.dataset, file, report)
        if not self.wishes.yes and not click.confirm("Take it in?", default=False):
            raise UnconfirmedMappingError(f"{path.name}: nobody said yes; nothing was taken in")
        return True

    def _remembered(self, held: HeldSource) -> IntakeMapping | None:
        return None if self.dataset is None else remembered(self.vault, self.dataset, marks(held))

    def _refuse_rows(self, dataset: Dataset, file: MappedFile, report: CheckReport) -> None:
        """Put refused rows where somebody finds them, or ask whether they may stay behind."""
        if not report.refused:
            return
        if self.refused is not None:
            write_refused_rows(self.vault, dataset, file, report, self.refused)
            click.echo(f"sealed     {self.refused.name}: the refused rows; `casehaven refused` shows them")
        elif self.wishes.yes or not click.confirm(
            "Take in the others, and leave the refused rows behind?", default=False
        ):
            raise RefusedRowsError(f"{file.path.name}: some rows cannot be taken in; nothing was taken in")

    # --- a prepared file ---

    def _take_prepared(self, path: Path) -> None:
        if self.wishes.about_rows or self.again or self.refused is not None:
            raise click.UsageError(f"{path.name} is a prepared file: it takes no mapping and no rule for its rows")
        if self.dataset is None:
            raise DatasetMissingError(f"{path.name} is a prepared file: a dry run needs the dataset's keys to open it")
        vault, dataset = self.vault, self.dataset
        prepared = open_prepared(path, vault.keys_of(dataset), self.schema)
        there = known_upload(vault, dataset, prepared.digest())
        if there is not None and not self.wishes.dry_run:
            self._say(path, there)
            return
        screen.show_prepared(prepared, check_prepared(prepared, self.schema))
        screen.show_others(prepared, held_by_others(vault, dataset, prepared), same=self.same_people)
        check_prepared_order(prepared_history(vault, dataset), prepared, older=self.older)
        if self._confirmed(path):
            upload = self._seal(
                prepared, lambda connection: remember_prepared(vault, dataset, prepared, connection, older=self.older)
            )
            self._say(path, upload)

    # --- into the vault ---

    def _seal(self, source: CaseRecords, within: Within = lambda connection: None) -> Upload:
        if self.dataset is None:
            raise DatasetMissingError("the dataset is not there yet")
        with phase("seal", source.steps if isinstance(source, MappedFile) else None) as tick:
            return take_in(
                self.vault,
                self.dataset,
                source,
                keep=self.keep,
                same_people=self.same_people,
                check=tick,
                within=within,
            )

    def _say(self, path: Path, upload: Upload) -> None:
        screen.show_taken(path.name, "" if self.dataset is None else self.dataset.id, Taken.of(upload))
