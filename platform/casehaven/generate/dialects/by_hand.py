"""A workbook kept by hand, in the organisation's language.

1. A merged title and merged headings stand above the labels; there is a column of numbers and a column without anything.
2. A thousand rows may be numbered beforehand, those without a case are empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from casehaven.generate.dialects.columns import Column, numbers
from casehaven.generate.dialects.defects import Defect
from casehaven.generate.dialects.export import Batch, Export
from casehaven.generate.dialects.primero import label_of
from casehaven.generate.dialects.workbook import Workbook, letters

__all__ = ["write_by_hand"]

_TITLES = {"en": "Made-up cases", "fr": "Dossiers inventés", "es": "Casos inventados", "ar": "حالات مختلقة"}
_NAMES = {
    "en": ("No.", "Full name", "Telephone", "Remarks"),
    "fr": ("N°", "Nom complet", "Téléphone", "Observations"),
    "es": ("N.º", "Nombre completo", "Teléfono", "Observaciones"),
    "ar": ("رقم", "الاسم الكامل", "الهاتف", "ملاحظات"),
}
_NUMBERED = 1000


def write_by_hand(export: Export, sink: BinaryIO) -> None:
    """Write a workbook of one sheet."""
    language = export.wording.language or "en"
    number, full_name, phone, remarks = _NAMES[language]
    labels = [label_of(export, name) for name in export.names()]
    header = [number, full_name, phone, "", *labels, remarks]
    middle = 4 + len(labels) // 2
    heads = [[_TITLES[language]], ["", "", "", "", "1", *[""] * (middle - 5), "2"], header]
    last = letters(len(header) - 1)
    merged = [f"A1:{last}1", f"E2:{letters(middle - 1)}2", f"{letters(middle)}2:{last}2"]
    with Workbook(sink) as book:
        book.sheet(_TITLES[language], heads, _parts(export), merged=merged)


def _parts(export: Export) -> Iterator[list[Column | None]]:
    done = 0
    for batch in export.batches():
        yield _columns(batch)
        done += len(batch)
    if Defect.NUMBERED_ROWS in export.wording.defects and done < _NUMBERED:
        yield [numbers("", np.arange(done + 1, _NUMBERED + 1))]


def _columns(batch: Batch) -> list[Column | None]:
    made_up = batch.made_up
    first = [numbers("", batch.rows), made_up["fullName"], made_up["phone"], None]
    return [*first, *batch.answers.values(), made_up["story"]]
