"""The rows of one sheet, as they come out of its XML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from casehaven.intake.sandbox.cell_values import DateKind, date_text, number_text, unescaped
from casehaven.intake.sandbox.faults import FaultError, too_large
from casehaven.intake.sandbox.limits import Limits
from casehaven.intake.sandbox.tables import Row, column_letters
from casehaven.intake.sandbox.xml_parts import local_name, parse

_DIGITS = "0123456789"
_LAST_COLUMN = 1 << 14


class SheetRows:
    """Reads one sheet; knows afterwards in which columns formulas were."""

    def __init__(
        self, *, texts: list[str], dates: dict[str, DateKind], from_1904: bool, limits: Limits, sheet: str
    ) -> None:
        self._texts = texts
        self._dates = dates
        self._from_1904 = from_1904
        self._limits = limits
        self._sheet = sheet
        self.formulas: set[int] = set()

    def read(self, file: BinaryIO) -> Iterator[Row]:
        """Yield each row that has a cell with text."""
        texts, dates, most = self._texts, self._dates, self._limits.cell_length
        positions: dict[str, int] = {}
        ready: list[Row] = []
        cells: list[str] = []
        pieces: list[str] = []
        kinds: dict[str, str] = {}
        row = column = -1
        rows = 0
        reference = kind = style = ""
        taking = formula = False

        def start(name: str, attributes: dict[str, str]) -> None:
            nonlocal row, column, rows, reference, kind, style, taking, formula
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
                taking = True
            elif local == "t":
                taking = kind == "inlineStr"
            elif local == "f":
                formula = True
            elif local == "rPh":
                kind = "hint"
            elif local == "row":
                stated = attributes.get("r", "")
                row = int(stated) if stated.isdigit() and len(stated) < 9 else max(row, 0) + 1
                column = -1
                rows += 1
                if rows > self._limits.rows:
                    raise too_large("rows", self._limits.rows)

        def end(name: str) -> None:
            nonlocal column, kind, taking
            local = kinds[name]
            if local == "c":
                letters = reference.rstrip(_DIGITS)
                if letters:
                    found = positions.get(letters)
                    column = positions[letters] = _position(letters) if found is None else found
                else:
                    column += 1
                text = "".join(pieces)
                if kind == "s":
                    text = texts[int(text)] if text.isdigit() and int(text) < len(texts) else ""
                elif formula:
                    self.formulas.add(column)
                    if not text and kind not in ("str", "inlineStr"):
                        raise FaultError(
                            "rows",
                            f"row {row}, column {column_letters(column)} of sheet {self._sheet!r} has a formula without a stored result; "
                            "open the file in a spreadsheet program, save it, and try that file",
                        )
                if not text:
                    return
                if kind == "n":
                    if style in dates:
                        text = date_text(text, dates[style], self._from_1904)
                    elif not text.isdigit():
                        text = number_text(text)
                elif kind == "b":
                    text = "TRUE" if text == "1" else "FALSE"
                elif kind in ("str", "inlineStr"):
                    text = unescaped(text)
                if len(text) > most:
                    raise too_large("characters in one cell", most)
                missing = column - len(cells)
                if missing < 0:
                    if column >= 0:
                        cells[column] = text
                    return
                if column >= self._limits.columns:
                    raise too_large("columns", self._limits.columns)
                if missing:
                    cells.extend([""] * missing)
                cells.append(text)
            elif local == "v" or local == "t":
                taking = False
            elif local == "rPh":
                kind = "inlineStr"
            elif local == "row" and cells:
                ready.append((row, cells.copy()))
                cells.clear()

        def text(data: str) -> None:
            if taking:
                pieces.append(data)

        for _ in parse(file, start, end, text):
            yield from ready
            ready.clear()


def _position(letters: str) -> int:
    position = 0
    for letter in letters[:4]:
        position = position * 26 + ord(letter) - 64
    if not 0 < position <= _LAST_COLUMN:
        raise FaultError("damaged", "the workbook names a cell that cannot be; save it again in a spreadsheet program")
    return position - 1
