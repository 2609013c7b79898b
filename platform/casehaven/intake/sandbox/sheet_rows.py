"""The rows of one sheet, as they come out of its XML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from casehaven.intake.sandbox.cell_values import CellReader
from casehaven.intake.sandbox.faults import FaultError, too_large
from casehaven.intake.sandbox.limits import Limits
from casehaven.intake.sandbox.tables import Row, column_letters
from casehaven.intake.sandbox.xml_parts import local_name, parse

_DIGITS = "0123456789"


class SheetRows:
    """Reads one sheet; knows afterwards in which columns formulas were."""

    def __init__(self, *, reader: CellReader, limits: Limits, sheet: str) -> None:
        self._reader = reader
        self._limits = limits
        self._sheet = sheet
        self.formulas: set[int] = set()

    def read(self, file: BinaryIO) -> Iterator[Row]:
        """Yield each row that has a cell with text."""
        shown, positions, most = self._reader.shown, self._reader.positions, self._limits.cell_length
        ready: list[Row] = []
        cells: list[str] = []
        pieces: list[str] = []
        kinds: dict[str, str] = {}
        column = -1
        row = rows = 0
        reference = kind = style = ""
        taking = formula = hint = False

        def start(name: str, attributes: dict[str, str]) -> None:
            nonlocal row, column, rows, reference, kind, style, taking, formula, hint
            local = kinds.get(name)
            if local is None:
                local = kinds[name] = local_name(name)
            if local == "c":
                reference = attributes.get("r", "")
                kind = attributes.get("t", "n")
                style = attributes.get("s", "")
                formula = False
                pieces.clear()
            elif local == "v":
                taking = kind != "inlineStr"
            elif local == "t":
                taking = kind == "inlineStr" and not hint
            elif local == "f":
                formula = True
            elif local == "rPh":
                hint = True
            elif local == "row":
                stated = attributes.get("r", "")
                row = int(stated) if stated.isascii() and stated.isdigit() and len(stated) < 9 else row + 1
                column = -1
                rows += 1
                if rows > self._limits.rows:
                    raise too_large("rows", self._limits.rows)

        def end(name: str) -> None:
            nonlocal column, taking, hint
            local = kinds[name]
            if local == "c":
                letters = reference.rstrip(_DIGITS)
                column = positions[letters] if letters else column + 1
                text = "".join(pieces)
                if formula:
                    self.formulas.add(column)
                    if not text and kind not in ("str", "inlineStr"):
                        raise FaultError(
                            "rows",
                            f"row {row}, column {column_letters(column)} of sheet {self._sheet!r} has a formula without a stored result; "
                            "open the file in a spreadsheet program, save it, and try that file",
                        )
                if text and (text := shown(kind, style, text)):
                    put(text)
            elif local == "v" or local == "t":
                taking = False
            elif local == "rPh":
                hint = False
            elif local == "row" and cells:
                ready.append((row, cells.copy()))
                cells.clear()

        def put(text: str) -> None:
            if len(text) > most:
                raise too_large("characters in one cell", most)
            missing = column - len(cells)
            if column >= self._limits.columns:
                raise too_large("columns", self._limits.columns)
            if missing < 0:
                cells[column] = text
            else:
                cells.extend([""] * missing)
                cells.append(text)

        def text(data: str) -> None:
            if taking:
                pieces.append(data)

        for _ in parse(file, start, end, text):
            yield from ready
            ready.clear()
