"""Which datasets a principal reaches, and that a dataset is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from casehaven.core.projection import all_published, published
from casehaven.core.web import Service
from casehaven.organisations.access import Operation, Principal, require
from casehaven.organisations.errors import NotFoundError


def reached_datasets(connection: Connection, who: Principal, operation: Operation) -> list[dict[str, Any]]:
    """Return the public facts of every dataset that an operation reaches."""
    return [
        found
        for found in all_published(connection, "dataset")
        if who.reaches(operation, found["organisation"], found["name"])
    ]


def require_datasets(connection: Connection, who: Principal, operation: Operation, names: Sequence[str]) -> str:
    """Check every dataset of a list, and return them as a job names them.

    Raises:
        NotFoundError: one is not there, or is out of reach.
        ForbiddenError, StepUpNeededError: see `require`.
    """
    for name in names:
        organisation, slash, dataset = name.partition("/")
        if not slash:
            raise NotFoundError
        require(who, operation, organisation, dataset=dataset)
        published(connection, "dataset", name)
    return " ".join(dict.fromkeys(names))


def require_there(here: Service, name: str) -> None:
    """Return when a dataset is there.

    Raises:
        NotFoundError: it is not.
    """
    with here.store.reading() as connection:
        published(connection, "dataset", name)
