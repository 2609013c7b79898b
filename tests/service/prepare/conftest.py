"""What tests of prepared files share: two organisations in one vault, a linkage key, and the command line."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from casehaven.cli import main
from casehaven.generate.dialects import write_dialect
from casehaven.intake.linkage_key import create_linkage_key
from casehaven.intake.public_key_file import OrganisationPublicKey, read_public_key
from casehaven.intake.sealed_upload import (
    PreparedFile,
    open_prepared,
)
from casehaven.vault.rootkeys import create_file_key, file_key
from casehaven.vault.store import Vault
from caseschemas import load_schema

HTCDS = "htcds-2.0"
CANARY = "Canary Xylophone"


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Two organisations' keys in one vault, a linkage key, and the command line."""

    folder: Path
    vault: Vault

    def public(self, organisation: str) -> OrganisationPublicKey:
        return read_public_key(self.folder / f"{organisation}.pub")

    def run(self, *arguments: str | Path, given: str | None = None) -> Result:
        return CliRunner().invoke(main, [str(argument) for argument in arguments], input=given)

    def prepare(
        self,
        *files: Path,
        organisation: str = "north",
        schema: str = HTCDS,
        out: str = "out.prepared",
        extra: tuple[str, ...] = (),
    ) -> Result:
        to = self.folder / f"{organisation}.pub"
        return self.run(
            "prepare", *files, "--schema", schema, "--organisation", organisation, "--to", to, "--yes", "--replace",
            "--fingerprint", self.public(organisation).fingerprint, "--linkage-key", self.folder / "agreement.key",
            "-o", self.folder / out, *extra,
        )  # fmt: skip

    def open(self, out: str = "out.prepared", *, organisation: str = "north", schema: str = HTCDS) -> PreparedFile:
        return open_prepared(self.folder / out, self.vault.keystore.organisation(organisation), load_schema(schema))

    def export(
        self, name: str = "kobo.csv", *, dialect: str = "kobo-csv", people: int = 40, seed: int = 3, schema: str = HTCDS
    ) -> Path:
        """Write made-up records as a tool would."""
        path = self.folder / name
        return write_dialect(dialect, load_schema(schema), people, seed, path, replace_existing=True)

    def cells(
        self, out: str = "out.prepared", *, organisation: str = "north", schema: str = HTCDS
    ) -> dict[str, list[str]]:
        """Open a prepared file and return its columns."""
        file = self.open(out, organisation=organisation, schema=schema)
        return {
            name: [cell for batch in file.batches([name]) for cell in batch.column(0).to_pylist()]
            for name in file.columns
        }

    def tokens(
        self, source: Path, organisation: str = "north", schema: str = HTCDS, extra: tuple[str, ...] = ()
    ) -> list[str]:
        """Prepare a file and return the person tokens."""
        done = self.prepare(source, organisation=organisation, schema=schema, extra=extra)
        assert done.exit_code == 0, done.output
        return self.cells(organisation=organisation, schema=schema)["personToken"]


@pytest.fixture(scope="session")
def _agreed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("agreement")
    vault = Vault.create(folder / "vault", create_file_key(folder / "root.key"))
    create_linkage_key(folder / "agreement.key")
    create_linkage_key(folder / "other.key")
    for organisation in ("north", "south"):
        vault.add_dataset(organisation, "cases", load_schema(HTCDS), 1000)
        vault.add_dataset(organisation, "ctdc", load_schema("ctdc-global"), 1000)
        places = ["--vault", str(vault.folder.path), "--root-key", f"file:{folder / 'root.key'}"]
        made = CliRunner().invoke(
            main, ["vault", "keys", "public", organisation, "-o", str(folder / f"{organisation}.pub"), *places]
        )
        assert made.exit_code == 0, made.output
    return folder


@pytest.fixture
def agreement(_agreed: Path, tmp_path: Path) -> Agreement:
    for name in ("agreement.key", "other.key", "north.pub", "south.pub"):
        (tmp_path / name).write_bytes((_agreed / name).read_bytes())
        (tmp_path / name).chmod(0o600)
    for name in ("vault", "vault.keys"):
        shutil.copytree(_agreed / name, tmp_path / name)
    shutil.copy(_agreed / "vault.anchor", tmp_path / "vault.anchor")
    shutil.copy(_agreed / "root.key", tmp_path / "root.key")
    return Agreement(folder=tmp_path, vault=Vault.open(tmp_path / "vault", file_key(tmp_path / "root.key")))
