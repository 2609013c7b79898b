"""People: one person's records, found by the case reference or person token of your own files; last days; possible duplicates.

1. `find` and `consent` take a token. Everything else opens or erases records and needs a second factor, which a token never has: sign in (`Client.sign_in`).
2. Every look needs a reason. It is sealed in the audit log: write no names.
3. What is told of a person can be read once. A client that died in between asks again; what erased somebody left a receipt, which comes again by its number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, Literal

from casehaven.client.datasets import dataset_path
from casehaven.client.display import Listing
from casehaven.client.errors import NotThereError, UnexpectedAnswerError
from casehaven.client.fields import Fields
from casehaven.client.jobs import Jobs
from casesynth.canonical import JsonFaultError, parse_json

ERASED_AT_ONCE: Final = 500
"""People whom a server erases for one `erase_due`."""
_SIGNED_MOST: Final = 1_000_000
_NUMBER: Final = re.compile("[1-9][0-9]{0,18}")
_MONTH: Final = re.compile("[0-9]{4}-[0-9]{2}")


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """Of an erasure. It holds nothing about the person."""

    number: str
    """Stood for the person; asks for the receipt again."""
    erased_month: str
    signed: bytes = field(repr=False)
    """The receipt with the vault's signature, as a file."""


@dataclass(frozen=True, kw_only=True)
class DuePerson:
    """Somebody whose last day is past."""

    reference: str = field(repr=False)
    kept_until: str


@dataclass(frozen=True, kw_only=True)
class PossibleDuplicate:
    """Two who may be one person."""

    people: tuple[tuple[str, str], ...] = field(repr=False)
    """Of each, what the organisation calls them, and the dataset."""
    same: tuple[str, ...]
    """What the two agree in."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A list, and whether it was cut."""

    items: Listing[Any]
    cut: bool
    comparable: bool = True
    """Whether the schema has anything by which people could be compared."""


class People:
    """The people of a dataset."""

    def __init__(self, jobs: Jobs) -> None:
        """Use a connection."""
        self._jobs = jobs

    def find(self, dataset: str, reference: str, *, reason: str) -> bool:
        """Tell whether somebody is there. The look is in the audit log.

        Args:
            dataset: organisation/dataset.
            reference: the case reference or person token of your own files.
            reason: why.
        """
        body = {"reference": reference, "reason": reason}
        return self._ask(dataset, "people/find", body).flag("found")

    def consent(
        self,
        dataset: str,
        reference: str,
        *,
        purpose: str,
        given: bool,
        reason: str,
        language: str = "",
        dated: date | None = None,
    ) -> int:
        """Record what a person said about one purpose; what they said before stays. Return the version of this consent.

        Args:
            dataset: organisation/dataset.
            reference: the case reference or person token of your own files.
            purpose: such as `pooled_statistics`.
            given: whether they said yes.
            reason: why it is recorded now.
            language: that it was explained in; needed for a yes.
            dated: the day when they said it; None: today.

        Raises:
            NotThereError: nobody is there under this reference.
            BadRequestError: there is no such purpose, or the language is missing.
        """
        body: dict[str, Any] = {
            "reference": reference,
            "reason": reason,
            "purpose": purpose,
            "given": given,
            "language": language,
        }
        if dated is not None:
            body["dated"] = dated.isoformat()
        return self._known(dataset, "people/consent", body).whole("version")

    def show(self, dataset: str, reference: str, *, reason: str) -> Mapping[str, Any]:
        """Return everything that the dataset has on a person, `casehaven-person/1`.

        Raises:
            NotThereError: nobody is there under this reference.
        """
        return self._known(dataset, "people/show", {"reference": reference, "reason": reason}).inner("person").all

    def correct(
        self, dataset: str, reference: str, changes: Mapping[str, str], *, reason: str, record: int | None = None
    ) -> Mapping[str, Any]:
        """Correct one record, and return the person as they are afterwards; what was there stays and can be read.

        Args:
            dataset: organisation/dataset.
            reference: the case reference or person token of your own files.
            changes: new values by attribute; an empty one takes the answer away.
            reason: why.
            record: which, counted from 1 as `show` has them; needed where there are several.

        Raises:
            NotThereError: nobody is there under this reference.
            BadRequestError, ConflictError: the record cannot be changed like that; nothing was changed.
        """
        body: dict[str, Any] = {"reference": reference, "reason": reason, "changes": dict(changes)}
        if record is not None:
            body["record"] = record
        return self._known(dataset, "people/correct", body).inner("person").all

    def export(self, dataset: str, reference: str, *, reason: str, kind: Literal["txt", "json", "csv"]) -> str:
        """Return everything on a person as the text of a file for that person.

        Raises:
            NotThereError: nobody is there under this reference.
        """
        body = {"reference": reference, "reason": reason, "kind": kind}
        return self._known(dataset, "people/export", body).text("text", most=30_000_000)

    def erase(self, dataset: str, reference: str, *, reason: str) -> Receipt:
        """Erase a person for good.

        Raises:
            NotThereError: nobody is there under this reference.
        """
        body = {"reference": reference, "reason": reason, "confirm": "ERASE"}
        return _receipt(self._known(dataset, "people/erase", body))

    def receipt(self, dataset: str, number: str, *, reason: str) -> Receipt:
        """Return the receipt of an earlier erasure again.

        Raises:
            NotThereError: nobody of the dataset was erased under this number.
        """
        return _receipt(self._known(dataset, "people/receipts", {"number": number, "reason": reason}))

    # --- last days, duplicates ---

    def keep_until(self, dataset: str, reference: str, until: date | None, *, reason: str) -> None:
        """Set, move or take away the last day on which a person's records may be kept.

        Raises:
            NotThereError: nobody is there under this reference.
            BadRequestError: the day is past.
        """
        day = None if until is None else until.isoformat()
        self._known(dataset, "people/retention", {"reference": reference, "reason": reason, "until": day})

    def keep_all_for(self, dataset: str, months: int, *, reason: str) -> None:
        """Give everybody without a last day one: so many months after the month in which they came."""
        self._ask(dataset, "retention", {"reason": reason, "months": months})

    def due(self, dataset: str, *, reason: str) -> Found:
        """Name the people whose last day is past, the longest overdue first."""
        fields = self._ask(dataset, "retention/due", {"reason": reason})
        return Found(items=Listing(fields.each("people", _due)), cut=fields.flag("cut"))

    def erase_due(self, dataset: str, *, reason: str) -> Listing[Receipt]:
        """Erase people whose last day is past, for good: the longest overdue, at most `ERASED_AT_ONCE`. Keep the receipts, and ask again until nobody is left."""
        fields = self._ask(dataset, "retention/erasures", {"reason": reason, "confirm": "ERASE"})
        return Listing(_signed(text) for text in fields.texts("receipts"))

    def duplicates(self, dataset: str, *, reason: str, most: int = 20) -> Found:
        """Name people of the organisation who may be one person under two references, the most telling pairs first."""
        fields = self._ask(dataset, "people/duplicates", {"reason": reason, "most": most})
        return Found(
            items=Listing(fields.each("pairs", _pair)), cut=fields.flag("cut"), comparable=fields.flag("comparable")
        )

    def _known(self, dataset: str, what: str, body: Mapping[str, Any]) -> Fields:
        fields = self._ask(dataset, what, body)
        if not fields.flag("found"):
            raise NotThereError(status=404, code="unknown-person", title="nobody is there under this reference")
        return fields

    def _ask(self, dataset: str, what: str, body: Mapping[str, Any]) -> Fields:
        return Fields(self._jobs.ask("POST", f"{dataset_path(dataset)}/{what}", body=dict(body)).result, "result")


def _receipt(fields: Fields) -> Receipt:
    return _signed(fields.text("signed", most=_SIGNED_MOST))


def _signed(text: str) -> Receipt:
    """Read a receipt from its own signed text, which is what is kept."""
    data = text.encode("utf-8", "surrogatepass")
    try:
        inner = parse_json(Fields(parse_json(data, "the receipt"), "receipt").text("receipt").encode(), "the receipt")
    except (JsonFaultError, UnicodeEncodeError):
        raise UnexpectedAnswerError("the server's receipt is not JSON with one meaning") from None
    fields = Fields(inner, "receipt")
    number, month = fields.text("number"), fields.text("erased_month")
    if not _NUMBER.fullmatch(number) or not _MONTH.fullmatch(month):
        raise UnexpectedAnswerError("the server's receipt has no number or no month")
    return Receipt(number=number, erased_month=month, signed=data)


def _due(fields: Fields) -> DuePerson:
    return DuePerson(reference=fields.text("reference"), kept_until=fields.text("kept_until"))


def _pair(fields: Fields) -> PossibleDuplicate:
    people = fields.each("people", lambda one: (one.text("reference"), one.text("dataset")))
    return PossibleDuplicate(people=people, same=fields.texts("same"))
