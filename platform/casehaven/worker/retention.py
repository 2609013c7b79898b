"""Jobs about how long records may be kept, who is due, and possible duplicates inside an organisation.

1. The rules are those of `casehaven.people`: a reason for each, which is in the audit log with every record that is opened to name somebody.
2. What is told goes sealed to whoever asked. A list that was cut says so.
3. Due people are erased one after the other, `ERASED_AT_ONCE` in one job; what came back says whether there may be more. A job that was stopped in between erased some: their receipts are made again by `person.receipt`, and it is not repeated by itself.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from itertools import islice
from typing import Any, Final

from casehaven.people import People
from casehaven.people.service import check_reason
from casehaven.people.view import one_line
from casehaven.vault.datasets import Dataset
from casehaven.vault.erasure import signed_receipt
from casehaven.vault.errors import UnknownPersonError
from casehaven.worker.work import Done, Work

PEOPLE_SHOWN: Final = 500
"""Due people that are named at once."""
ERASED_AT_ONCE: Final = 500
"""People that are erased in one job: their receipts are one result, which is read once."""


def retain(work: Work) -> Done:
    """Set, move or take away one person's last day.

    Raises:
        RetentionError: the day is past.
    """
    asked = work.private_request()
    until = None if asked["until"] is None else date.fromisoformat(str(asked["until"]))
    try:
        person = _people(work).keep_until(str(asked["reference"]), until, reason=str(asked["reason"]))
    except UnknownPersonError:
        return Done(result={"found": False})
    kept = person.retain_until
    return Done(result={"found": True, "kept_until": None if kept is None else kept.isoformat()})


def retain_all(work: Work) -> Done:
    """Give everybody without a last day one."""
    asked = work.private_request()
    _people(work).keep_all_for(int(asked["months"]), reason=str(asked["reason"]))
    return Done(result={"months": int(asked["months"])})


def due(work: Work) -> Done:
    """Name the people whose last day is past."""
    people = _people(work)
    work.tick("open")
    views = people.due(reason=str(work.private_request()["reason"]), most=PEOPLE_SHOWN + 1)
    named = [
        {"reference": one_line(people.reference_of(view)), "kept_until": _day(view.person.retain_until)}
        for view in views[:PEOPLE_SHOWN]
    ]
    return Done(result={"people": named, "cut": len(views) > PEOPLE_SHOWN})


def erase_due(work: Work) -> Done:
    """Erase people whose last day is past, and no more than their receipts can be handed out for; return the receipts."""
    vault, receipts, asked = work.bench.vault, list[str](), work.private_request()
    most = min(int(asked.get("most", ERASED_AT_ONCE)), ERASED_AT_ONCE)
    for made in islice(_people(work).erase_due(reason=str(asked["reason"])), most):
        receipts.append(signed_receipt(vault, made).decode("utf-8"))
        work.phase, work.done = "erase", len(receipts)  # what began goes on to its end: no receipt is lost
    return Done(result={"receipts": receipts, "cut": len(receipts) == most})


def duplicates(work: Work) -> Done:
    """Name pairs that may be one person, the most telling first."""
    asked, people = work.private_request(), _people(work)
    reason, most = check_reason(str(asked["reason"])), int(asked["most"])
    if not people.compared():
        return Done(result={"comparable": False, "pairs": [], "cut": False})
    work.tick("compare")
    found = people.possible_duplicates(reason=reason)
    pairs = list[dict[str, Any]]()
    for pair in found[:most]:
        work.tick("open", len(pairs), min(most, len(found)))
        with suppress(UnknownPersonError):  # one of them was erased meanwhile
            (one, home), (other, _) = _named(work, pair.first, reason), _named(work, pair.second, reason)
            pairs.append({"people": [one, other], "same": list(pair.labels(home))})
    return Done(result={"comparable": True, "pairs": pairs, "cut": len(found) > most})


def _named(work: Work, number: int, reason: str) -> tuple[dict[str, str], Dataset]:
    """Open a person to say what the organisation calls them."""
    vault = work.bench.vault
    person = vault.person(number)
    home = vault.dataset_of(person)
    people = People(vault, home, actor=work.actor)
    view = people.read_person(person, reason=reason)
    return {"reference": one_line(people.reference_of(view)), "dataset": home.id}, home


def _people(work: Work) -> People:
    return People(work.bench.vault, work.dataset(), actor=work.actor)


def _day(day: Any) -> str | None:
    return None if day is None else str(day.isoformat())
