"""From the tables of a file to one source: which sheet or file, which tool, which columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from casehaven.intake.sandbox.clean import clean_cell
from casehaven.intake.sandbox.columns import PlanColumn
from casehaven.intake.sandbox.contents import Contents
from casehaven.intake.sandbox.faults import FaultError
from casehaven.intake.sandbox.folding import folded, spread_rows_joined
from casehaven.intake.sandbox.headers import SAMPLE, Laid, clean_name, lay_out
from casehaven.intake.sandbox.record_key import record_key
from casehaven.intake.sandbox.request import Request
from casehaven.intake.sandbox.tables import Row
from casehaven.intake.sandbox.tools import plan, recognised
from casehaven.intake.sandbox.workbook import Sheet, Workbook
from casehaven.intake.sandbox.xlsform import SHEETS, Form, form_of, read_form

_LOOKED_AT = 12
_TABLE_CELLS = 3
NO_FORM = "not an XLSForm: expected a workbook with the sheets survey and choices"
_FORM = (
    "this is a form (XLSForm), not the records collected with it; export the records from Kobo or ODK Central and give that file; "
    "the form can be given beside it, with --form"
)


@dataclass(frozen=True, kw_only=True)
class SourcePlan:
    """One source: what it is, and its rows."""

    tool: str
    columns: tuple[PlanColumn, ...]
    notes: tuple[str, ...]
    record_key: str | None
    rows: Iterator[Row]

    def document(self) -> dict[str, object]:
        """Return the description."""
        return {
            "tool": self.tool,
            "columns": [column.document() for column in self.columns],
            "notes": list(self.notes),
            "record_key": self.record_key,
        }


def form_in(contents: Contents) -> Form:
    """Return the form that a file is.

    Raises:
        FaultError: it is none.
    """
    if contents.workbook is None or not _is_form(contents.workbook):
        raise FaultError("form", NO_FORM)
    sheets = {sheet.name.lower(): sheet for sheet in contents.workbook.sheets}
    tables = [contents.workbook.table(sheets[name]).rows for name in ("survey", "choices")]
    return read_form(*tables)


def source_of(contents: Contents, request: Request) -> SourcePlan:
    """Return the source that a file holds.

    Raises:
        FaultError: it holds none, or several of which one must be named.
    """
    form = form_of(request.form) if request.form is not None else None
    if contents.workbook is not None:
        kind, laid, others = "workbook", *_of_workbook(contents.workbook, request)
    elif contents.documents is not None:
        kind, laid, others = "json", _of_documents(contents), []
    elif contents.name or contents.archive is None:
        kind, laid, others = "csv", lay_out(contents.text()), []
    else:
        kind, laid, others = "csv", *_of_archive(contents)
    tool = request.tool or recognised(laid) or ("primero" if others and laid.position("ID", "id") == 0 else kind)
    if tool == "primero":
        laid.names = [name.removeprefix("data/") for name in laid.names]
        laid.multiple = {name.removeprefix("data/") for name in laid.multiple}
        key = laid.position("ID", "id")
        if key is not None and kind != "json":
            spread_rows_joined(laid, key)
    if others:
        _fold(laid, others, tool, form, request.apart)
    columns = plan(laid, tool, form, request.apart)
    identifies = record_key(tool, columns, laid)
    notes = tuple(dict.fromkeys(laid.notes))
    return SourcePlan(tool=tool, columns=tuple(columns), notes=notes, record_key=identifies, rows=laid.rows)


def _of_documents(contents: Contents) -> Laid:
    documents = contents.documents
    assert documents is not None
    rows = documents.rows()
    sample = list(islice(rows, SAMPLE))
    names = [clean_name(name) or f"field {place}" for place, name in enumerate(documents.names, start=1)]
    return Laid(
        name=contents.name,
        names=names,
        labels=[()] * len(names),
        rows=chain(sample, rows),
        sample=sample,
        notes=[],
        multiple={clean_name(name) for name in documents.multiple},
    )


def _of_archive(contents: Contents) -> tuple[Laid, list[Laid]]:
    """Return root and repeats of an ODK Central export."""
    tables = [lay_out(contents.text_of(name)) for name in contents.text_names]
    roots = [table for table in tables if "KEY" in table.names and "PARENT_KEY" not in table.names]
    children = [table for table in tables if "PARENT_KEY" in table.names]
    if len(roots) != 1 or len(roots) + len(children) != len(tables):
        names = ", ".join(name[:60] for name in contents.text_names[:12])
        raise FaultError(
            "sheet", f"the ZIP holds several tables that are no export of ODK Central; say which with --sheet: {names}"
        )
    return roots[0], children


def _of_workbook(workbook: Workbook, request: Request) -> tuple[Laid, list[Laid]]:
    if request.sheet is not None:
        named = [sheet for sheet in workbook.sheets if sheet.name.strip().lower() == request.sheet.strip().lower()]
        if not named:
            listed = ", ".join(sheet.name for sheet in workbook.sheets[:12])
            raise FaultError("sheet", f"no sheet of that name; the workbook has: {listed}")
        return lay_out(workbook.table(named[0])), []
    if _is_form(workbook):
        raise FaultError("form", _FORM)
    heads = {sheet.name: _head(workbook, sheet) for sheet in workbook.sheets}
    visible = [sheet for sheet in workbook.sheets if not sheet.hidden] or workbook.sheets
    with_id = [sheet for sheet in visible if _first_cell(heads[sheet.name]).lower() == "id"]
    if len(with_id) > 1 and (request.tool or "primero") == "primero":
        laid = [lay_out(workbook.table(sheet)) for sheet in with_id]
        return laid[0], laid[1:]
    root = next(
        (sheet for sheet in visible if max(map(len, heads[sheet.name]), default=0) >= _TABLE_CELLS),
        next((sheet for sheet in visible if heads[sheet.name]), visible[0]),
    )
    laid_root = lay_out(workbook.table(root))
    repeats = [sheet for sheet in visible if sheet is not root and _is_kobo_repeat(heads[sheet.name])]
    children = [lay_out(workbook.table(sheet)) for sheet in repeats]
    left = [sheet.name for sheet in visible if sheet is not root and sheet not in repeats and heads[sheet.name]]
    if left:
        laid_root.notes.append(
            f"read from sheet {root.name}; not read: {', '.join(left[:12])}; another one can be named with --sheet"
        )
    return laid_root, children


def _fold(root: Laid, children: Sequence[Laid], tool: str, form: Form | None, apart: Sequence[str]) -> None:
    for child in children:
        if tool == "odk-central":
            key, parent = root.position("KEY"), child.position("PARENT_KEY")
            stem = root.name.rpartition("/")[2].rpartition(".")[0]
            prefix = child.name.rpartition("/")[2].rpartition(".")[0].removeprefix(f"{stem}-") + "-"
        elif tool == "kobo":
            pairs = (("_uuid", "_submission__uuid"), ("_id", "_submission__id"), ("_index", "_parent_index"))
            key, parent = next(
                (
                    (root.position(of_root), child.position(of_child))
                    for of_root, of_child in pairs
                    if of_root in root.names and of_child in child.names
                ),
                (None, None),
            )
            prefix = f"{child.name}/"
        elif tool == "primero":
            key, parent, prefix = root.position("ID", "id"), child.position("ID", "id"), ""
        else:
            continue
        if key is None or parent is None:
            root.notes.append(f"{child.name} was not read: it does not say which record its rows belong to")
            continue
        planned = [
            column
            for column in plan(child, tool, form, apart)
            if column.role == "answer" and column.name != child.names[parent]
        ]
        cut = tool == "odk-central"

        def owner(cells: list[str], parent: int = parent, cut: bool = cut) -> str:
            cell = clean_cell(cells[parent])
            return cell.partition("/")[0] if cut else cell

        several = folded(root, key, child, planned, owner, prefix, repeats=tool != "primero")
        how = (
            "its rows were folded into their records as several answers"
            if several
            else "its columns were put beside those of its records"
        )
        root.notes.append(f"{child.name}: {how}")


def _is_form(workbook: Workbook) -> bool:
    return {sheet.name.strip().lower() for sheet in workbook.sheets} >= SHEETS


def _head(workbook: Workbook, sheet: Sheet) -> list[list[str]]:
    """Return the filled cells of a sheet's first rows."""
    rows = workbook.table(sheet).rows
    return [[cell for cell in cells if cell.strip()] for _, cells in islice(rows, _LOOKED_AT)]


def _first_cell(head: Sequence[Sequence[str]]) -> str:
    return head[0][0].strip() if head and head[0] else ""


def _is_kobo_repeat(head: Sequence[Sequence[str]]) -> bool:
    return bool(head) and ("_parent_index" in head[0] or "_submission__uuid" in head[0])
