"""Which function does which kind of job; its module is imported when a first job of it comes."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Final

from casehaven.worker.work import Done, Work

Handler = Callable[[Work], Done]

_HANDLERS: Final = {
    "organisation.keys": "casehaven.worker.datasets:organisation_keys",
    "dataset.create": "casehaven.worker.datasets:create",
    "training.make": "casehaven.worker.training:make",
    "allowance.set": "casehaven.worker.budgets:set_allowance",
    "upload.propose": "casehaven.worker.uploads:propose",
    "upload.commit": "casehaven.worker.uploads:commit",
    "person.find": "casehaven.worker.people:find",
    "person.show": "casehaven.worker.people:show",
    "person.correct": "casehaven.worker.people:correct",
    "person.consent": "casehaven.worker.people:consent",
    "person.export": "casehaven.worker.people:export",
    "person.erase": "casehaven.worker.people:erase",
    "person.receipt": "casehaven.worker.people:receipt",
    "person.retain": "casehaven.worker.retention:retain",
    "person.retain-all": "casehaven.worker.retention:retain_all",
    "person.due": "casehaven.worker.retention:due",
    "person.erase-due": "casehaven.worker.retention:erase_due",
    "person.duplicates": "casehaven.worker.retention:duplicates",
    "dataset.status": "casehaven.worker.own_statistics:status",
    "dataset.intakes": "casehaven.worker.own_statistics:intakes",
    "statistics.tables": "casehaven.worker.own_statistics:tables",
    "question.quote": "casehaven.worker.questions:quote",
    "question.ask": "casehaven.worker.questions:ask",
    "answer.list": "casehaven.worker.questions:answers",
    "release.plan": "casehaven.worker.releases:plan",
    "release.draft": "casehaven.worker.drafts:draft",
    "release.approve": "casehaven.worker.drafts:approve",
    "release.run": "casehaven.worker.releases:run",
    "release.decide": "casehaven.worker.releases:decide",
    "release.withdraw": "casehaven.worker.registry:withdraw",
    "agreement.sign": "casehaven.worker.agreements:sign",
    "budget.statement": "casehaven.worker.budgets:statement",
    "budget.allowances": "casehaven.worker.budgets:allowances",
    "budget.ledger": "casehaven.worker.budgets:own_ledger",
    "budget.propose-raise": "casehaven.worker.raises:propose",
    "budget.approve-raise": "casehaven.worker.raises:approve",
    "audit.verify": "casehaven.worker.audit:verify",
    "audit.checkpoint": "casehaven.worker.audit:checkpoint",
    "audit.report": "casehaven.worker.audit:report",
}
"""Kind of a job: module and function."""


def handler_of(kind: str) -> Handler:
    """Return the function that does a kind of job."""
    module, _, name = _HANDLERS[kind].partition(":")
    found: Handler = getattr(importlib.import_module(module), name)
    return found
