"""Jobs about one person: find, show, correct, record consent, export, erase, and the receipt of an earlier erasure.

1. What is asked (a reference, a reason, values) comes sealed to the organisation, and what is told goes sealed to whoever asked.
2. The rules are those of `casehaven.people`: every look has a reason, which is in the audit log under the member's handle, found or not.
3. Whether somebody is there is told alike: the job is done, and its result says `found` or not. A job that failed says nothing of a person.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from casehaven.people import People
from casehaven.people.consent import parse_purpose
from casehaven.people.errors import ConsentFactError
from casehaven.people.export import SUFFIXES, export_text
from casehaven.people.view import PersonView
from casehaven.vault.erasure import signed_receipt
from casehaven.vault.errors import UnknownPersonError
from casehaven.worker.work import Done, Work

_NOBODY = Done(result={"found": False})


def find(work: Work) -> Done:
    """Say whether somebody is there under a case reference or a person token."""
    asked = work.private_request()
    try:
        _people(work).find(str(asked["reference"]), reason=str(asked["reason"]))
    except UnknownPersonError:
        return _NOBODY
    return Done(result={"found": True})


def show(work: Work) -> Done:
    """Open everything that the dataset has on a person."""
    asked = work.private_request()
    try:
        view = _people(work).read(str(asked["reference"]), reason=str(asked["reason"]))
    except UnknownPersonError:
        return _NOBODY
    return Done(result={"found": True, "person": _document(view)})


def correct(work: Work) -> Done:
    """Correct one record; what was there stays and can be read.

    Raises:
        CorrectionError: the record cannot be changed like that; nothing was changed.
    """
    asked = work.private_request()
    changes = {str(name): str(value) for name, value in asked["changes"].items()}
    record = asked.get("record")
    try:
        view = _people(work).correct(
            str(asked["reference"]),
            changes,
            reason=str(asked["reason"]),
            record=None if record is None else int(record),
        )
    except UnknownPersonError:
        return _NOBODY
    return Done(result={"found": True, "person": _document(view)})


def consent(work: Work) -> Done:
    """Record what a person said about one purpose.

    Raises:
        ConsentFactError: the date or the language cannot be.
    """
    asked = work.private_request()
    purpose = parse_purpose(str(asked["purpose"]))
    try:
        added = _people(work).record_consent(
            str(asked["reference"]),
            purpose,
            given=bool(asked["given"]),
            reason=str(asked["reason"]),
            language=str(asked.get("language") or ""),
            dated=_day(asked.get("dated")),
        )
    except UnknownPersonError:
        return _NOBODY
    return Done(result={"found": True, "purpose": added.purpose, "given": added.given, "version": added.version})


def export(work: Work) -> Done:
    """Return everything on a person as a file for that person."""
    asked = work.private_request()
    suffix = f".{asked['kind']}"
    assert suffix in SUFFIXES
    try:
        view = _people(work).read(str(asked["reference"]), reason=str(asked["reason"]), action="person.export")
    except UnknownPersonError:
        return _NOBODY
    return Done(result={"found": True, "kind": asked["kind"], "text": export_text(view, suffix)})


def erase(work: Work) -> Done:
    """Erase a person for good, and return the signed receipt's text."""
    asked = work.private_request()
    try:
        made = _people(work).erase(str(asked["reference"]), reason=str(asked["reason"]))
    except UnknownPersonError:
        return _NOBODY
    signed = signed_receipt(work.bench.vault, made).decode("utf-8")
    return Done(result={"found": True, "receipt": json.loads(made.body()), "signed": signed})


def receipt(work: Work) -> Done:
    """Return the signed receipt of an earlier erasure again."""
    asked = work.private_request()
    try:
        made = _people(work).receipt_again(int(str(asked["number"])), reason=str(asked["reason"]))
    except UnknownPersonError:
        return _NOBODY
    signed = signed_receipt(work.bench.vault, made).decode("utf-8")
    return Done(result={"found": True, "receipt": json.loads(made.body()), "signed": signed})


def _people(work: Work) -> People:
    return People(work.bench.vault, work.dataset(), actor=work.actor)


def _document(view: PersonView) -> Any:
    return json.loads(export_text(view, ".json"))


def _day(text: object) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        raise ConsentFactError("the day is written as 2026-03-01") from None
