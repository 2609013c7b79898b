"""Salesforce's export, as the data loader writes it: CSV with every cell in quotation marks.

1. A field of one's own is named `name__c`. Several values have `;` between them, yes and no are `true` and `false`.
2. Text is UTF-8 with a byte order mark, or ISO-8859-1.
"""

from __future__ import annotations

from typing import BinaryIO

import pyarrow as pa

from casehaven.generate.dialects.columns import Column, constant, serials, stamps
from casehaven.generate.dialects.csv_text import write_csv
from casehaven.generate.dialects.defects import Defect
from casehaven.generate.dialects.export import Batch, Export

__all__ = ["write_salesforce_csv"]


def write_salesforce_csv(export: Export, sink: BinaryIO) -> None:
    """Write one CSV file."""
    old = Defect.LATIN_1 in export.wording.defects
    names = [column.name for column in _columns(export, next(export.batches()))]
    parts = (_columns(export, batch) for batch in export.batches())
    write_csv(sink, names, parts, quoted=True, mark=not old, encoding="iso-8859-1" if old else "utf-8")


def _columns(export: Export, batch: Batch) -> list[Column]:
    count = len(batch)
    ours = [answer.named(f"{name}__c") for name, answer in batch.answers.items()]
    return [
        serials("Id", "a0X5e0", batch.rows, "EAC"),
        constant("OwnerId", "0055e000001ExaMAAS", count),
        constant("IsDeleted", "false", count),
        serials("Name", "CASE-", batch.rows),
        stamps("CreatedDate", batch.days, batch.rows, zone=".000Z"),
        constant("CreatedById", "0055e000001ExaMAAS", count),
        stamps("SystemModstamp", batch.days, batch.rows + 60, zone=".000Z"),
        *ours,
        batch.made_up["fullName"].named("Contact_Name__c"),
        batch.made_up["phone"].named("Phone__c"),
        batch.made_up["story"].named("Description"),
        Column(name="LastViewedDate", cells=pa.repeat(pa.scalar(""), count)),
    ]
