"""Writes a small ledger as SQL text, in the version of the software that runs it; later software must open each of them.

    python tests/vectors/ledger/make.py tests/vectors/ledger

Made once per version and kept: a file that is there is left alone. `version-1.sql` and `version-2.sql` were written by the software of those versions.
Datasets and charges are made up.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from pathlib import Path

from casehaven.ledger import BudgetPolicy, IdempotencyKey, Ledger, LedgerPolicy, models
from casesynth.privacy import PrivacyLoss

RESULT = "ab" * 32


def main(out: Path) -> None:
    """Write the ledger of this version when it is missing."""
    target = out / f"version-{models.SCHEMA_VERSION}.sql"
    if target.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        ledger = Ledger.create(path, LedgerPolicy(account=BudgetPolicy.of("2", "1e-6"), max_tokens_per_person=2))
        for dataset in ("north/cases", "south/cases"):
            ledger.open_dataset(dataset, ["2021", "2022", ""])
        for number, (datasets, nano_rho) in enumerate(((["north/cases"], 1000), (["north/cases", "south/cases"], 77))):
            receipt = ledger.charge(
                key=IdempotencyKey(text=f"request-{number}"),
                body={"plan": number},
                datasets=datasets,
                blocks=["2021", ""],
                loss=PrivacyLoss(nano_rho=nano_rho),
                purpose="synthetic_release",
            )
            if number == 0:
                ledger.begin_draw(receipt)
                ledger.mark_revealed(receipt, RESULT)
        connection = sqlite3.connect(path)
        lines = [f"PRAGMA application_id = {models.APPLICATION_ID};", f"PRAGMA user_version = {models.SCHEMA_VERSION};"]
        target.write_text("\n".join([*connection.iterdump(), *lines]) + "\n", encoding="utf-8")
        connection.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
