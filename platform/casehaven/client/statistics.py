"""Own statistics: exact tables of an organisation's own people, and how a dataset stands. NOT FOR RELEASE: keep what comes of it like the case files.

The tables need a second factor, which a token never has: sign in (`Client.sign_in`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from casehaven.client.datasets import dataset_path
from casehaven.client.display import Listing
from casehaven.client.errors import UnexpectedAnswerError
from casehaven.client.fields import Fields
from casehaven.client.jobs import Jobs, Progress

Kind = Literal["json", "xlsx", "html"]


@dataclass(frozen=True, kw_only=True)
class OwnTables:
    """Exact tables. Not for release."""

    mark: str
    """`NOT FOR RELEASE`."""
    warning: str
    document: Mapping[str, Any] = field(repr=False)
    """`casehaven-own-tables/1`; with `tables` where it was asked for as JSON."""
    content: bytes = field(repr=False)
    """The workbook or the page; empty for JSON."""


@dataclass(frozen=True, kw_only=True)
class ConsentStanding:
    """What people said last about one purpose."""

    purpose: str
    given: int
    refused: int
    never_asked: int


@dataclass(frozen=True, kw_only=True)
class DatasetStanding:
    """Exact numbers of one dataset, for the organisation that holds it."""

    people: int
    people_cap: int
    records: int
    replaced: int
    """Records that a correction stands for."""
    without_last_day: int
    due: int
    """People whose last day is past."""
    next_last_day: str | None
    erased: int
    consent: tuple[ConsentStanding, ...] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class TakenIn:
    """One file that was taken in."""

    committed_at: str
    version: int
    records: int
    replaced: int


class Statistics:
    """Exact numbers of the organisation's own people."""

    def __init__(self, jobs: Jobs) -> None:
        """Use a connection."""
        self._jobs = jobs

    def tables(
        self,
        dataset: str,
        *,
        reason: str,
        years: Sequence[int] = (),
        kind: Kind = "json",
        progress: Progress | None = None,
    ) -> OwnTables:
        """Count the people who consented to own statistics.

        Args:
            dataset: organisation/dataset.
            reason: what for; it is sealed in the audit log. Write no names.
            years: of first registration; none: everybody.
            kind: `json`, a workbook or a page.
            progress: is told of the job now and then.

        Raises:
            NotAllowedError: a token asks, or somebody without the right.
            ConflictError: nobody consented.
            BadRequestError: the schema has no such year.
        """
        body = {"reason": reason, "years": list(years), "kind": kind}
        path = f"{dataset_path(dataset)}/tables"
        fields = Fields(self._jobs.ask("POST", path, body=body, progress=progress).result, "tables")
        if kind == "json":
            content = b""
        elif kind == "html":
            content = fields.text("text", most=30_000_000).encode("utf-8", "surrogatepass")
        else:
            try:
                content = base64.b64decode(fields.text("base64", most=30_000_000), validate=True)
            except (binascii.Error, ValueError):
                raise UnexpectedAnswerError("the server's workbook is no base64") from None
        return OwnTables(mark=fields.text("mark"), warning=fields.text("warning"), document=fields.all, content=content)

    def standing(self, dataset: str) -> DatasetStanding:
        """Say how a dataset stands: people, records, consent, last days."""
        fields = Fields(self._jobs.ask("GET", f"{dataset_path(dataset)}/status").result, "standing")
        consent = fields.inner("consent")
        return DatasetStanding(
            **{
                name: fields.whole(name)
                for name in ("people", "people_cap", "records", "replaced", "without_last_day", "due", "erased")
            },
            next_last_day=fields.maybe_text("next_last_day"),
            consent=tuple(_consent(purpose, consent.inner(purpose)) for purpose in consent.all),
        )

    def intakes(self, dataset: str) -> Listing[TakenIn]:
        """Return the files that were taken in, newest first."""
        fields = Fields(self._jobs.ask("GET", f"{dataset_path(dataset)}/intakes").result, "list of intakes")
        return Listing(fields.each("items", _taken_in))


def _consent(purpose: str, fields: Fields) -> ConsentStanding:
    return ConsentStanding(
        purpose=purpose,
        given=fields.whole("given"),
        refused=fields.whole("refused"),
        never_asked=fields.whole("never_asked"),
    )


def _taken_in(fields: Fields) -> TakenIn:
    return TakenIn(
        committed_at=fields.text("committed_at"),
        version=fields.whole("version"),
        records=fields.whole("records"),
        replaced=fields.whole("replaced"),
    )
