"""A dataset takes prepared files in the order in which they were prepared, and under one linkage key."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from click.testing import Result

from casehaven.intake.errors import PreparedOrderError
from casehaven.intake.mapped_file import RECORD_KEY
from casehaven.intake.prepared_history import PreparedHistory, check_prepared_order, prepared_history
from casehaven.intake.sealed_upload import allowed_columns, seal_prepared
from caseschemas import load_schema

if TYPE_CHECKING:
    from tests.service.prepare.conftest import Agreement

HTCDS = load_schema("htcds-2.0")
JUNE = datetime(2026, 6, 30, 12, tzinfo=UTC)


def write(agreement: Agreement, at: datetime, *, consent: str = "yes", linkage: str = "SHA256:one") -> Path:
    """A prepared file of one record, as `prepare` writes it."""
    names = allowed_columns(HTCDS)
    cells = {RECORD_KEY: "a" * 32, str(HTCDS.person_key): "b" * 32, "consentSyntheticRelease": consent}
    table = pa.table({name: [cells.get(name, "")] for name in names})
    sealed = seal_prepared(table, HTCDS, "names-birth/1", linkage, agreement.public("north"), at)
    path = agreement.folder / f"{at.date()}-{consent}.prepared"
    path.write_bytes(sealed)
    return path


def take(agreement: Agreement, path: Path, *more: str) -> Result:
    named = ("--organisation", "north", "--dataset", "cases", "--schema", "htcds-2.0")
    places = ("--vault", agreement.folder / "vault", "--root-key", f"file:{agreement.folder / 'root.key'}")
    return agreement.run("intake", path, *named, *more, *places)


def test_a_prepared_file_is_shown_before_it_is_taken_in(agreement: Agreement) -> None:
    path = write(agreement, JUNE)
    stopped = take(agreement, path)
    assert (stopped.exit_code, "there is nobody to ask" in stopped.output) == (1, True)
    assert "at 2026-06-30T12:00:00Z" in stopped.output and "rows       1 to be taken in" in stopped.output
    tried = take(agreement, path, "--dry-run")
    assert (tried.exit_code, "nothing was taken in" in tried.output) == (0, True)
    taken = take(agreement, path, "--yes")
    assert (taken.exit_code, "version 1" in taken.output) == (0, True), taken.output
    assert max(map(len, taken.stdout.splitlines())) <= 100
    again = take(agreement, path, "--yes")
    assert "has this file already" in again.output


def test_an_older_file_does_not_bring_its_content_back_unless_somebody_says_so(agreement: Agreement) -> None:
    later, earlier = write(agreement, JUNE, consent="no"), write(agreement, JUNE - timedelta(days=90))
    assert take(agreement, later, "--yes").exit_code == 0
    refused = take(agreement, earlier, "--yes")
    assert refused.exit_code == 1 and "the dataset has one of 2026-06-30T12:00:00Z" in refused.output
    assert "--older-file" in refused.output
    taken = take(agreement, earlier, "--yes", "--older-file")
    assert "1 corrected" in taken.output, taken.output
    dataset = agreement.vault.dataset("north", "cases")
    assert prepared_history(agreement.vault, dataset).prepared_at == "2026-06-30T12:00:00Z", "the latest one counts"


def test_a_file_under_another_linkage_key_is_refused(agreement: Agreement) -> None:
    assert take(agreement, write(agreement, JUNE), "--yes").exit_code == 0
    other = write(agreement, JUNE + timedelta(days=1), consent="no", linkage="SHA256:two")
    refused = take(agreement, other, "--yes", "--older-file")
    assert refused.exit_code == 1 and "under the linkage key SHA256:two" in refused.output


def test_a_time_that_has_not_come_yet_is_refused(agreement: Agreement) -> None:
    refused = take(agreement, write(agreement, datetime.now(UTC) + timedelta(days=3)), "--yes")
    assert refused.exit_code == 1 and "has not come yet" in refused.output
    assert take(agreement, write(agreement, JUNE, consent="no"), "--yes").exit_code == 0


def test_a_file_of_an_earlier_version_is_read_until_one_with_a_time_is_there(agreement: Agreement) -> None:
    path = write(agreement, JUNE)
    file = agreement.open(path.name)
    old, none = replace(file, prepared_at=None), PreparedHistory()
    check_prepared_order(none, old)
    check_prepared_order(none, file)
    known = PreparedHistory(linkage_key=file.linkage_key, prepared_at=file.prepared_at)
    check_prepared_order(known, file)
    check_prepared_order(known, old, older=True)
    with pytest.raises(PreparedOrderError, match="does not say when"):
        check_prepared_order(known, old)
