"""The two files of the indicator tables, each whole or not there at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from casehaven.errors import CasehavenError
from casehaven.releases.indicators.notes import notes
from casehaven.releases.indicators.page import page
from casehaven.releases.indicators.roles import Roles
from casehaven.releases.indicators.tables import IndicatorTable, indicator_tables
from casehaven.releases.indicators.workbook import workbook
from casehaven.releases.published import PublishedRelease
from casesynth._files import write_whole

WORKBOOK = "indicators.xlsx"
PAGE = "indicators.html"


class ExistingTablesError(CasehavenError):
    """A file of tables is there already, and nobody said that it may go."""


@dataclass(frozen=True, kw_only=True)
class WrittenTables:
    """What was written."""

    tables: tuple[IndicatorTable, ...]
    paths: tuple[Path, ...]


def write_indicators(release: PublishedRelease, roles: Roles, folder: Path, *, replace: bool = False) -> WrittenTables:
    """Write the tables of a release as a workbook and a page.

    Args:
        release: verified and opened.
        roles: which attributes are sex, age and so on.
        folder: where the files go; made if it is not there, inside a folder that is.
        replace: whether files that are there may be replaced.

    Raises:
        ExistingTablesError: a file is there and may not be replaced; nothing was written.
        OSError: the folder cannot be written.
    """
    paths = (folder / WORKBOOK, folder / PAGE)
    there = [path for path in paths if path.exists() or path.is_symlink()]
    if there and not replace:
        raise ExistingTablesError(f"{there[0]} is there already")
    tables = indicator_tables(release.estimates, release.schema, roles)
    remarks = notes(release, roles, tables)
    contents = (workbook(release, tables, remarks), page(release, tables, remarks).encode())
    folder.mkdir(exist_ok=True)
    for path, content in zip(paths, contents, strict=True):
        write_whole(path, content, mode=0o644, replace=replace)
    return WrittenTables(tables=tables, paths=paths)
