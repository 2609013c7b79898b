"""Jobs of uploads: what a file would become, and taking it in.

1. A file is proposed first: what it is, how each column would be understood, and what would become of each row. Nothing is taken in.
2. It is taken in under a mapping that somebody looked at: one that comes with the request, or one that is certain in every part. Guesses that nobody saw are refused.
3. Rows that cannot be taken in refuse the file, unless the request says that they may stay behind.
4. What is told goes to whoever asked, sealed: whoever sent the file, or a colleague who takes uploads in. Exact numbers stand in it (privacy rule 5).
5. Taken in twice, a file adds nothing: a job that was cut short is simply done again.
6. The mapping of the last dry run is kept beside the upload (`casehaven.worker.kept_answers`): the next one without a mapping begins with it. Taking in never does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from casehaven.core.training import TrainingDataError, is_training
from casehaven.core.upload_files import UploadRow, mark_upload, upload_of
from casehaven.generate.practice import practice_file
from casehaven.intake.check import AttributeFinding, check_file, check_prepared
from casehaven.intake.errors import PersonUndecidedError, RefusedRowsError, UnconfirmedMappingError
from casehaven.intake.headers import schema_names
from casehaven.intake.held import HeldSource, hold
from casehaven.intake.intake_mapping import IntakeMapping
from casehaven.intake.known_people import known_otherwise
from casehaven.intake.mapped_file import MappedFile
from casehaven.intake.mapping_document import parse_intake_mapping
from casehaven.intake.prepared_history import check_prepared_order, prepared_history, remember_prepared
from casehaven.intake.proposal import propose as proposed_mapping
from casehaven.intake.readers import open_source
from casehaven.intake.record_keys import held_by_others
from casehaven.intake.remembered import marks, remember, remembered
from casehaven.intake.sealed_upload import PreparedFile, is_prepared, open_prepared
from casehaven.intake.upload import CaseRecords, Upload, known_upload
from casehaven.intake.uploads import take_in
from casehaven.organisations.access import Operation, Reach, Right
from casehaven.organisations.errors import ForbiddenError
from casehaven.organisations.members import member_by_id
from casehaven.organisations.roles import rights_of
from casehaven.vault.datasets import Dataset
from casehaven.worker.kept_answers import READING, keep_answers, kept_answers
from casehaven.worker.raw_upload import opened_upload
from casehaven.worker.work import Done, Work, plain

ROWS_SHOWN: Final = 1_000
"""Refused rows that a report lists."""


def _nobody_real(dataset: Dataset, path: Path) -> None:
    """Let nobody real into a dataset of training, whose questions count in nobody's total.

    Raises:
        TrainingDataError: the file is another one than that of made-up people.
    """
    if is_training(dataset.id) and path.read_bytes() != practice_file():
        raise TrainingDataError("a dataset of training takes in the made-up file of the page of training, and no other")


_TAKES_IN: Final = Right(operation=Operation.UPLOAD_COMMIT, reach=Reach.OWN)


def propose(work: Work) -> Done:
    """Say what a file would become."""
    dataset, upload, asked = work.dataset(), _upload(work), work.private_request()
    with opened_upload(work.bench.store, work.bench.vault, upload) as path:
        _nobody_real(dataset, path)
        if is_prepared(path):
            prepared = open_prepared(path, work.bench.vault.keys_of(dataset), dataset.schema)
            found = _prepared(prepared, check_prepared(prepared, dataset.schema))
            return Done(result={**found, "taken_in_before": _taken_in_before(work, dataset, prepared)})
        kept = kept_answers(work.bench.store, work.bench.vault, dataset, upload)  # rule 6
        told: dict[str, Any] = {**{name: kept[name] for name in READING if name in kept}, **asked}
        held = _held(work, dataset, path, told)
        mapping, where = _mapping(work, dataset, held, told, kept)
        if asked.get("mapping") is not None:
            keep_answers(work.bench.store, work.bench.vault, dataset, upload, told)
        return Done(result=_proposal(work, dataset, held, mapping, where, told))


def commit(work: Work) -> Done:
    """Take a file in, under the mapping of the request or one that is certain, and destroy the raw upload."""
    dataset, upload, asked = work.dataset(), _upload(work), work.private_request()
    with opened_upload(work.bench.store, work.bench.vault, upload) as path:
        _nobody_real(dataset, path)
        if is_prepared(path):
            done = _commit_prepared(work, dataset, path, asked)
        else:
            done = take_in_mapped(work, dataset, path, asked)
    mark_upload(work.bench.store, upload.upload_id, "committed")
    return Done(
        result={
            "repeated": done.repeated,
            "changed": done.changed,
            "records": {
                "new": done.records - done.corrected,
                "corrected": done.corrected,
                "there_already": done.unchanged,
            },
        }
    )


def take_in_mapped(work: Work, dataset: Dataset, path: Path, asked: Mapping[str, Any]) -> Upload:
    """Take a case file in under a mapping that somebody looked at, or that is certain (rules 2 and 3)."""
    vault = work.bench.vault
    held = _held(work, dataset, path, asked)
    mapping, where = _mapping(work, dataset, held, asked)
    if mapping.guesses and where != "sent":
        raise UnconfirmedMappingError("the mapping rests on guesses that nobody has seen; send the proposed one back")
    if not _person_known(mapping, dataset):
        raise PersonUndecidedError("no column is known to tell people apart")
    file = MappedFile(held=held, mapping=mapping.accepted(), schema=dataset.schema, again=bool(asked.get("again")))
    work.tick("check")
    keep = tuple(asked.get("keep", ()))
    report = check_file(file, keep=keep)
    if report.refused and not asked.get("leave_refused"):
        raise RefusedRowsError("some rows cannot be taken in, and the request does not say that they may stay behind")
    done = take_in(
        vault,
        dataset,
        file,
        keep=keep,
        actor=work.actor,
        same_people=bool(asked.get("same_people")),
        check=_counted(work, "seal", file.steps),
    )
    remember(vault, dataset, file.mapping, marks(held))
    return done


def _commit_prepared(work: Work, dataset: Dataset, path: Path, asked: Mapping[str, Any]) -> Upload:
    vault, older = work.bench.vault, bool(asked.get("older_file"))
    prepared = open_prepared(path, vault.keys_of(dataset), dataset.schema)
    check_prepared_order(prepared_history(vault, dataset), prepared, older=older)
    return take_in(
        vault,
        dataset,
        prepared,
        actor=work.actor,
        same_people=bool(asked.get("same_people")),
        check=_counted(work, "seal", 0),
        within=lambda connection: remember_prepared(vault, dataset, prepared, connection, older=older),
    )


# --- parts ---


def _upload(work: Work) -> UploadRow:
    organisation, _, name = work.job.dataset.partition("/")
    with work.bench.store.reading() as connection:
        found = upload_of(connection, organisation, name, str(work.request["upload"]))
        asker = member_by_id(connection, work.job.member_id)
    if found.member_id != asker.id and _TAKES_IN not in rights_of(asker.kind, asker.roles):  # rule 4
        raise ForbiddenError
    return found


def _held(work: Work, dataset: Dataset, path: Path, asked: Mapping[str, Any]) -> HeldSource:
    work.tick("read")
    source = open_source(
        path,
        password=asked.get("password"),
        encoding=asked.get("encoding"),
        separator=asked.get("separator"),
        sheet=asked.get("sheet"),
        apart=schema_names(dataset.schema),
    )
    return hold(source, check=lambda share: work.tick("read", int(100 * (share or 0.0)), 100))


def _mapping(
    work: Work,
    dataset: Dataset,
    held: HeldSource,
    asked: Mapping[str, Any],
    kept: Mapping[str, Any] | None = None,
) -> tuple[IntakeMapping, str]:
    """Return a mapping and where it comes from: `sent`, `kept` of the last dry run, `remembered` of an earlier file, or `proposed`."""
    work.tick("understand")
    if asked.get("mapping") is not None:
        return _parsed(asked["mapping"], dataset), "sent"
    if kept and kept.get("mapping") is not None:
        mine = _parsed(kept["mapping"], dataset)
        if set(mine.read) <= {column.name for column in held.columns}:  # else it is read in another way this time
            return mine, "kept"
    before = remembered(work.bench.vault, dataset, marks(held))
    if before is not None:
        return before, "remembered"
    return proposed_mapping(held, dataset.schema), "proposed"


def _parsed(mapping: Any, dataset: Dataset) -> IntakeMapping:
    return parse_intake_mapping(json.dumps(mapping).encode(), dataset.schema, name="mapping")


def _person_known(mapping: IntakeMapping, dataset: Dataset) -> bool:
    key = dataset.schema.person_key
    return key is None or mapping.row_is_person or mapping.attribute(key) is not None


def _proposal(
    work: Work, dataset: Dataset, held: HeldSource, mapping: IntakeMapping, where: str, told: Mapping[str, Any]
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "kind": "mapped",
        "tool": held.source.tool.value,
        "mapping": mapping.document(),
        "mapping_from": where,
        "reading": {name: told.get(name) for name in READING} | {"password": told.get("password") is not None},
        "guesses": [entry.to for entry in mapping.guesses],
        "person_known": _person_known(mapping, dataset),
    }
    if not made["person_known"]:
        return plain(made)  # type: ignore[no-any-return]  # JSON
    file = MappedFile(held=held, mapping=mapping.accepted(), schema=dataset.schema)
    work.tick("check")
    report = check_file(file)
    vault = work.bench.vault
    made["taken_in_before"] = _taken_in_before(work, dataset, file)
    made["report"] = {
        "rows": report.rows,
        "taken": report.taken,
        "empty": report.empty,
        "repeated": report.repeated,
        "left_out": report.left_out,
        "minors": report.minors,
        "refused": [asdict(row) for row in report.refused[:ROWS_SHOWN]],
        "refused_in_all": len(report.refused),
        "attributes": [asdict(finding) for finding in report.attributes],
        "unfilled": list(report.unfilled),
        "dropped": [asdict(one) for one in report.dropped],
        "new_columns": list(report.new_columns),
        "notes": list(report.notes),
        "held_by_others": len(held_by_others(vault, dataset, file)),
        "known_otherwise": len(known_otherwise(vault, dataset, file)),
    }
    return plain(made)  # type: ignore[no-any-return]  # JSON


def _taken_in_before(work: Work, dataset: Dataset, file: CaseRecords) -> bool:
    """Tell whether this very file is in the dataset: taken in again, it adds nothing (rule 5)."""
    return known_upload(work.bench.vault, dataset, file.digest()) is not None


def _prepared(prepared: PreparedFile, findings: Sequence[AttributeFinding]) -> dict[str, Any]:
    made = {
        "kind": "prepared",
        "prepared_at": prepared.prepared_at,
        "token_rule": prepared.token_rule,
        "report": {"attributes": [asdict(finding) for finding in findings]},
    }
    return plain(made)  # type: ignore[no-any-return]  # JSON


def _counted(work: Work, phase: str, steps: int) -> Callable[[], None]:
    """Return what counts the steps of a phase; it raises when somebody asked for the end."""
    done = 0

    def tick() -> None:
        nonlocal done
        work.tick(phase, min(done, steps), steps)
        done += 1

    return tick
