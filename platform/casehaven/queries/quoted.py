"""A quote as a document, `casehaven-quote/1`: the same from the command line and from a service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from casehaven.queries.priced import Quote
    from casehaven.queries.service import Queries
    from casesynth.answers import Question

FORMAT = "casehaven-quote/1"


def quote_document(queries: Queries, question: Question, found: Quote) -> dict[str, Any]:
    """Return a quote as JSON.

    Args:
        queries: that made it.
        question: what was asked.
        found: the quote.
    """
    plan = found.plan
    return {
        "format": FORMAT,
        "question": question.canonical,
        "counted": question.counted,
        "nano_rho": 0 if found.free else plan.nano_rho,
        "epsilon": 0.0 if found.free else plan.epsilon,
        "delta": plan.delta,
        "epsilon_per_person": 0.0 if found.free else plan.epsilon_per_person,
        "max_tokens_per_person": plan.tokens,
        "within": plan.within,
        "tables": len(plan.tables),
        "cells": sum(table.cells for table in plan.tables),
        "free": found.free,
        "earlier_tables": found.earlier_tables,
        "alone_nano_rho": found.alone_nano_rho,
        "asked_on": list(found.asked_on),
        "registered": list(queries.facts.charged(question)),
        "some_registered": question.registered is not None,
        "allowances": [[state.dataset, state.left_nano_rho] for state in found.allowances],
    }
