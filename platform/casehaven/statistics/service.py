"""Own statistics of one dataset in the vault: opened for the purpose, counted, and logged.

1. Only people whose latest consent for own statistics is yes are opened. Nobody else is in any number, and the tables say so.
2. Opening is in the audit log before it happens, with the dataset and never with a number.
3. Nothing is charged: the numbers are exact and stay with the organisation. No release, answer or page for others is made from them.
4. A file of tables can be read by its owner alone, and replaces nothing unless that is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from casehaven.releases.indicators import Roles
from casehaven.statistics.counted import CountedPeople
from casehaven.statistics.errors import ExistingTableFileError, NobodyCountedError, TableFileKindError, YearError
from casehaven.statistics.exact import ExactTable, exact_tables
from casehaven.statistics.marking import ReportFacts
from casehaven.statistics.page import page
from casehaven.statistics.workbook import workbook
from casehaven.vault.datasets import Dataset
from casehaven.vault.snapshots import snapshot
from casehaven.vault.store import Vault
from caseschemas import CaseSchema
from casesynth._files import write_whole

SUFFIXES = (".xlsx", ".html")


@dataclass(frozen=True, kw_only=True)
class OwnStatistics:
    """Exact tables with what a reader has to know. Not for release."""

    facts: ReportFacts
    tables: tuple[ExactTable, ...]


def own_statistics(
    vault: Vault,
    dataset: Dataset,
    roles: Roles | None,
    *,
    reason: str,
    years: Sequence[int] = (),
    actor: str | None = None,
) -> OwnStatistics:
    """Count the people of a dataset who consented to own statistics.

    Args:
        vault: open.
        dataset: of the organisation that asks.
        roles: which attributes are sex, age and so on; None where nobody has said.
        reason: what for, in the asker's words; sealed in the audit log.
        years: of registration; empty for all, with those whose year is not known.
        actor: who asks; the user of this process unless given.

    Raises:
        YearError: the schema records no year of registration, or not one of these.
        NobodyCountedError: nobody consented, or nobody who did was registered then.
    """
    schema = dataset.schema
    _check_years(schema, years)
    with vault.writing() as connection:
        vault.audit.append(
            connection,
            action="statistics.tables",
            object_kind="dataset",
            object_id=dataset.id,
            organisation=dataset.organisation,
            actor=actor,
            reason=reason,
        )
    people = CountedPeople(table=snapshot(vault, [dataset], "own_statistics").open_own(), domain=dataset.domain)
    if years and schema.block is not None:
        people = people.only(people.registered_in(schema.block.attribute, years))
    if not people.table.people:
        when = f" who were registered in {_listed(years)}" if years else ""
        raise NobodyCountedError(f"{dataset.id} has no people{when} with consent for own statistics on record")
    facts = ReportFacts(
        organisation=dataset.organisation,
        dataset=dataset.name,
        schema=f"{schema.id} {schema.version}",
        made_on=datetime.now(UTC).date().isoformat(),
        years=f"registered in {_listed(years)}" if years else "all years of registration",
        remarks=() if roles is None else roles.notes,
        people=people.table.people,
    )
    return OwnStatistics(facts=facts, tables=exact_tables(people, schema, roles))


def check_target(path: Path, *, replace: bool) -> Path:
    """Return where tables may go, before anything is opened.

    Raises:
        TableFileKindError: the name does not end in `.xlsx` or `.html`.
        ExistingTableFileError: a file is there and may not be replaced.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise TableFileKindError(f"the name of the file must end in {' or '.join(SUFFIXES)}")
    if not replace and (path.exists() or path.is_symlink()):
        raise ExistingTableFileError(f"{path} is there already")
    return path


def write_tables(statistics: OwnStatistics, path: Path, *, replace: bool = False) -> None:
    """Write tables as a workbook or a page, whole or not at all.

    Raises:
        TableFileKindError, ExistingTableFileError: see `check_target`.
        OSError: the folder cannot be written.
    """
    check_target(path, replace=replace)
    facts, tables = statistics.facts, statistics.tables
    content = workbook(facts, tables) if path.suffix.lower() == ".xlsx" else page(facts, tables).encode("utf-8")
    try:
        write_whole(path, content, mode=0o600, replace=replace)
    except FileExistsError:
        raise ExistingTableFileError(f"{path} is there already") from None


def _check_years(schema: CaseSchema, years: Sequence[int]) -> None:
    if not years:
        return
    if schema.block is None:
        raise YearError(f"{schema.id} does not record when people were registered, so years cannot be chosen")
    attribute = schema.attribute(schema.block.attribute)
    known = {int(value.code[:4]) for value in attribute.values if value.missing is None}
    unknown = sorted(set(years) - known)
    if unknown:
        raise YearError(f"{schema.id} knows the years {min(known)} to {max(known)}, not {_listed(unknown)}")


def _listed(years: Sequence[int]) -> str:
    return ", ".join(str(year) for year in sorted(set(years)))
