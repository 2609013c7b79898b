"""Pages of questions: build one and see its price, ask it, and read its answer.

1. A price is looked up from public facts and charges nothing. What is asked is what was priced: a form that changed, or became dearer, is priced again and shown.
2. Asking carries the key that the form was shown with: sent twice it is one question, charged once.
3. The script of the page asks for the price alone (`do=live`), as the button does; the words are the same.
4. A published release has no price: asking it charges nothing and stores nothing, so its answer is the page that comes back (`casehaven.web.asking_release`). Saved questions by citizenship need more
   than a release is asked for at a time; its tables for official statistics have them.
5. What costs more than the whole public cap of a charged budget is not offered. Caps are in the public statement and in an agreement's terms; what is left of them is compared by the ledger alone.
"""

from __future__ import annotations

import json
import secrets
from typing import Annotated, Any, Final

from fastapi import Query, Response

from casehaven.core.problems import Problem, ProblemError
from casehaven.organisations.errors import NotFoundError
from casehaven.web.answer_view import NANO, csv_bytes, read
from casehaven.web.asking_form import SHOWS, WITHIN, note_plan, price_tag, question_of, saved_for, where_field
from casehaven.web.asking_release import ask_release
from casehaven.web.asking_source import BLANK, RELEASE, Choice, Source, choices, releases_to_ask, source_of
from casehaven.web.desk import Desk, Signed
from casehaven.web.forms import Form
from casehaven.web.job_pages import JobId
from casehaven.web.router import PageRouter
from casehaven.web.stored_answers import answer_page, question_file, schema_of_answer
from casesynth.privacy.accounting import rho_for

router = PageRouter()

QUOTE_SECONDS: Final = 20
REFUSED_SECONDS: Final = 2
"""A question that is refused is refused within these, and the form is shown again as it was."""
DEAR: Final = 1.0
"""From this epsilon on a price is compared with the public cap of what it would be charged to (rule 5)."""
_FILE: Final = "casehaven-answer"
_RAISED: Final = frozenset({"step-up-needed", "not-found", "forbidden", "rate-limited", "cross-site", "internal"})
"""Refusals that are no fault of the question: a page of their own."""


@router.get("/ask")
async def build(
    desk: Signed,
    of: Annotated[str, Query(max_length=140)] = "",
    saved: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """A new question."""
    desk.require("question.ask")
    every = [*await choices(desk), *await releases_to_ask(desk)]
    chosen = _chosen(every, of)
    if chosen is None:
        return desk.page("asking/none.html", unknown=bool(of), choices=every)
    source = await source_of(desk, chosen)
    form = desk.blank(
        of=chosen.value, show="counts", accuracy="within", within=str(WITHIN), epsilon="0.1", at_most="1", saved=saved
    )
    return _page(desk, form, every, source)


@router.post("/ask")
async def price_or_ask(desk: Signed) -> Response:
    """Price the question of the form, or ask it."""
    form = await desk.sent()
    every = await choices(desk)
    if form.text("do") != "live" or form.text("of").startswith(RELEASE):
        every += await releases_to_ask(desk)
    chosen = next((one for one in every if one.value == form.text("of")), None)
    source = None if chosen is None else await source_of(desk, chosen)
    if source is None:
        return desk.page("asking/none.html", status=404, unknown=True, choices=every)
    do = form.text("do")
    if source.choice.release and do == "live":
        return desk.page("asking/live.html", form=form, source=source, nano=NANO, price=None)
    if source.choice.release:
        return await ask_release(
            desk, form, source, lambda: _page(desk, form, every, source, {}, status=200 if form.fine else 422)
        )
    question = question_of(form, source)
    quote = await _quote(desk, form, source, question)
    beyond = quote is not None and await _beyond(desk, source, quote)
    if do == "live":
        shown = _price(form, source, question, quote, beyond=beyond)
        return desk.page("asking/live.html", form=form, source=source, nano=NANO, price=shown)
    if do == "ask" and quote is not None and not beyond and _as_priced(form, source, question, quote):
        body = {**source.target, "question": question}
        answer = await desk.ask("POST", "/v1/answers", body=body, key=form.key, wait=REFUSED_SECONDS)
        if answer.problem is None:
            return desk.to_job(answer, then="/answers/{job}", back="/ask")
        _note(form, answer.problem)
        form.key = secrets.token_hex(16)
        quote = None
    return _page(desk, form, every, source, question, quote, beyond=beyond, status=200 if form.fine else 422)


@router.get("/answers/{job}")
async def answered(desk: Signed, job: JobId) -> Response:
    """The answer of one's own question."""
    found = await _result(desk, job)
    return await answer_page(desk, found["answer"], own=found, files=f"/answers/{job}")


@router.get("/answers/{job}/answer.csv")
async def as_csv(desk: Signed, job: JobId) -> Response:
    """The answer for a spreadsheet."""
    answer = (await _result(desk, job))["answer"]
    shown = read(answer, await schema_of_answer(desk, answer), desk.words)
    return desk.file(csv_bytes(answer, shown), name=f"{_FILE}-{job[:8]}.csv", media_type="text/csv; charset=utf-8")


@router.get("/answers/{job}/question.json")
async def as_question(desk: Signed, job: JobId) -> Response:
    """The question, to be asked again by a program."""
    return await question_file(desk, (await _result(desk, job))["answer"])


# --- parts ---


async def _result(desk: Desk, job: str) -> dict[str, Any]:
    found: dict[str, Any] = await desk.get("/v1/jobs/{}/result", job)
    if "answer" not in found:
        raise NotFoundError
    return found


def _chosen(every: list[Choice], of: str) -> Choice | None:
    if of:
        return next((one for one in every if one.value == of), None)
    return every[0] if every else None


async def _quote(desk: Desk, form: Form, source: Source, question: dict[str, Any]) -> dict[str, Any] | None:
    if not form.fine:
        return None
    answer = await desk.ask("POST", "/v1/quotes", body={**source.target, "question": question}, wait=QUOTE_SECONDS)
    if answer.problem is not None:
        _note(form, answer.problem)
        return None
    if answer.status == 202:
        form.fault("of", "asking.price_late")
        return None
    found: dict[str, Any] = answer.body["result"]
    return found


def _note(form: Form, problem: Problem) -> None:
    if problem.code in _RAISED:
        raise ProblemError(problem)
    if problem.code != "answer-plan" or not note_plan(form, problem.detail):
        form.problem = problem


def _as_priced(form: Form, source: Source, question: dict[str, Any], quote: dict[str, Any]) -> bool:
    """Tell whether the reader has seen a price for just this, and it did not rise (rule 1)."""
    seen = form.text("priced")
    known = seen.isascii() and seen.isdecimal() and int(seen[:20]) >= quote["nano_rho"]
    return known and form.text("tag") == price_tag(source, question) and _enough(quote)


def _left(quote: dict[str, Any]) -> int | None:
    """Return what is left of the reader's own share where it is least; None without a limit."""
    return min((left for _, left in quote["allowances"] if left is not None), default=None)


def _enough(quote: dict[str, Any]) -> bool:
    left = _left(quote)
    return left is None or quote["nano_rho"] <= left


async def _beyond(desk: Desk, source: Source, quote: dict[str, Any]) -> bool:
    """Tell whether a price is more than the whole public cap of a budget that it would be charged to (rule 5)."""
    if quote["free"] or quote["epsilon"] < DEAR:
        return False
    if source.terms is not None:
        return int(quote["nano_rho"]) > int(source.terms["budget_nano_rho"])
    if not desk.may("budget.read"):
        return False
    answer = await desk.backend.call("GET", "/v1/budgets/statement", wait=QUOTE_SECONDS)
    if answer.status != 200:
        return False
    accounts = json.loads(answer.body["result"]["signed"])["statement"]["accounts"]
    caps = {
        (float(one["epsilon_cap"]), float(one["delta"]))
        for one in accounts
        if one["dataset"] == source.choice.value and one["block"] in quote["registered"]
    }
    return any(quote["nano_rho"] > rho_for(epsilon, delta) for epsilon, delta in caps)


def _price(
    form: Form, source: Source, question: dict[str, Any], quote: dict[str, Any] | None, *, beyond: bool = False
) -> dict[str, Any] | None:
    """Return what the page says of a price."""
    if quote is None or not form.fine:
        return None
    return {
        "quote": quote,
        "tag": price_tag(source, question),
        "rho": quote["nano_rho"] / NANO,
        "left": _left(quote),
        "enough": _enough(quote),
        "beyond": beyond,
        "exact": question["accuracy"].get("within_people") is not None,
    }


def _page(
    desk: Desk,
    form: Form,
    every: list[Choice],
    source: Source | None,
    question: dict[str, Any] | None = None,
    quote: dict[str, Any] | None = None,
    *,
    beyond: bool = False,
    status: int = 200,
) -> Response:
    if source is None:
        return desk.page("asking/none.html", unknown=True, choices=every)
    saved = {
        name: axes
        for name, axes in saved_for(source.schema).items()
        if not (source.choice.release and "citizenship" in name)
    }
    return desk.page(
        "asking/ask.html",
        status=status,
        form=form,
        choices=every,
        source=source,
        shows=SHOWS,
        saved=list(saved),
        start=form.text("saved") if form.text("saved") in saved else "",
        blank=BLANK,
        nano=NANO,
        where_field=where_field,
        open_ends={view.name: source.band_ends(view.name) for view in source.numbers},
        price=None if question is None else _price(form, source, question, quote, beyond=beyond),
    )
