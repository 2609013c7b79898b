"""Jobs of questions: quote, ask, and the answers that are stored."""

from __future__ import annotations

from typing import Any

from casehaven.ledger import AnalystId, IdempotencyKey
from casehaven.queries import Queries
from casehaven.queries.service import shown_answer
from casehaven.worker.work import Done, Work, plain


def quote(work: Work) -> Done:
    """Say what a question would cost. Reads public facts and the ledger alone."""
    queries = _queries(work)
    question = queries.parse(work.request["question"])
    found = queries.quote(question)
    plan = found.plan
    return Done(
        result=plain(
            {
                "format": "casehaven-quote/1",
                "question": question.canonical,
                "nano_rho": 0 if found.free else plan.nano_rho,
                "epsilon": 0.0 if found.free else plan.epsilon,
                "delta": plan.delta,
                "epsilon_per_person": 0.0 if found.free else plan.epsilon_per_person,
                "within": plan.within,
                "cells": sum(table.cells for table in plan.tables),
                "free": found.free,
                "earlier_tables": found.earlier_tables,
                "allowances": [[state.dataset, state.left_nano_rho] for state in found.allowances],
            }
        )
    )


def ask(work: Work) -> Done:
    """Answer a question, charged first. The job's id is the ledger's key: a second attempt finds its charge, and its answer where one was stored."""
    queries = _queries(work)
    question = queries.parse(work.request["question"])
    work.tick("running")
    found = queries.ask(question, IdempotencyKey(text=f"job-{work.job.job_id}"))
    charged = None if found.charged is None else found.charged.nano_rho
    result: dict[str, Any] = {"answer": found.answer, "charged_nano_rho": charged, "free": found.free}
    return Done(result=plain(result))


def answers(work: Work) -> Done:
    """List the answers that are stored about some datasets, without who asked."""
    found = _queries(work).answers(every_day=bool(work.request.get("every_day")))
    return Done(result={"answers": [plain(dict(shown_answer(stored))) for stored in found]})


def _queries(work: Work) -> Queries:
    return Queries(
        vault=work.bench.vault,
        ledger=work.bench.ledger,
        datasets=work.datasets(),
        tokens_are="shared" if work.request.get("person_tokens") == "shared" else "separate",
        analyst=AnalystId(text=work.actor),
        held=work.bench.held,
        clock=work.bench.clock,
    )
