"""Writes a small vault as it is on disk, for every version of its tables that ever was; later software must open each of them.

    python tests/vectors/store/make.py tests/vectors/store

Made once per version and kept: a folder that is there is left alone. The database is kept as SQL text, because it is read by people in a review. People and records are
made up, and the root key is public: it protects nothing.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

from sqlalchemy import text

from casehaven.core.migrate import HEAD, version_of
from casehaven.intake.uploads import take_in
from casehaven.vault.folder import FILE
from casehaven.vault.rootkeys import HeldKey
from casehaven.vault.store import Vault
from caseschemas import load_schema

ROOT_KEY = bytes(range(32))
PEOPLE = [
    {"personToken": "first", "gender": "Woman", "yearOfRegistration": "2019", "consentSyntheticRelease": "yes"},
    {"personToken": "first", "gender": "Woman", "citizenship": "UKR", "consentSyntheticRelease": "yes"},
    {"personToken": "second", "gender": "Man", "yearOfRegistration": "2021", "consentSyntheticRelease": "no"},
    {"personToken": "third", "gender": "Man", "yearOfRegistration": "2022", "consentSyntheticRelease": "yes"},
]
BEFORE_AUDIT = ("audit", "audit_log", "audit_checkpoint")
"""Tables that version 0001 did not have."""


def main(out: Path) -> None:
    """Write the vault of every version that is missing."""
    for version in ("0001", HEAD):
        folder = out / version
        if not folder.exists():
            with tempfile.TemporaryDirectory() as place:
                _make(Path(place), version)
                _keep(Path(place), folder, version)


def _make(place: Path, version: str) -> None:
    vault = Vault.create(place / "vault", HeldKey(key=ROOT_KEY))
    schema = load_schema("ctdc-global")
    dataset = vault.add_dataset("north", "cases", schema, 100)
    names = ["personToken", *schema.consent.values(), *(attribute.name for attribute in schema.analysis)]
    lines = [names, *([person.get(name, "") for name in names] for person in PEOPLE)]
    file = place / "north.csv"
    file.write_text("".join(",".join(cells) + "\n" for cells in lines), encoding="utf-8")
    take_in(vault, dataset, file)
    person = vault.person_by_token(dataset, "third")
    if person is None:
        raise RuntimeError("the person that was taken in is not there")
    if version != "0001":
        record = vault.read_records(person, reason="to be corrected")[0]
        with vault.locked(dataset) as held:
            vault.append_record(
                held, person, {**record.cells, "gender": "Woman"}, supersedes=record.record_id, reason="an error"
            )
    with vault.database.transaction(writes=True) as connection:
        if version_of(connection) != HEAD:
            raise RuntimeError("the vault does not have today's tables")
        if version == "0001":  # what came later is taken away again
            for table in BEFORE_AUDIT:
                connection.execute(text(f"DROP TABLE {table}"))
            connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    if version == "0001":
        vault.folder.anchor_path.unlink()


def _keep(place: Path, folder: Path, version: str) -> None:
    folder.mkdir(parents=True)
    shutil.copytree(place / "vault" / "chunks", folder / "vault" / "chunks")
    shutil.copy(place / "vault" / FILE, folder / "vault" / FILE)
    shutil.copytree(place / "vault.keys", folder / "vault.keys")
    if version != "0001":
        shutil.copy(place / "vault.anchor", folder / "vault.anchor")
    with sqlite3.connect(place / "vault" / "vault.sqlite") as connection:
        (folder / "vault.sql").write_text("\n".join(connection.iterdump()) + "\n", encoding="utf-8")
    (folder / "people.json").write_text(json.dumps(PEOPLE, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
