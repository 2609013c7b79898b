"""Pages of people: find one by case reference or person token, look, record consent, correct, export, set a last day, erase.

1. A reference, a reason and a value stand in no address. So these forms are answered with the page itself, and not with a redirect: the one exception to that rule.
2. Each look has a reason. It is asked for once, and goes along with what is done next for the same person.
3. What is told of a person is shown once: it is read from the job as the page is made, and is nowhere afterwards. Only the reference and the reason stay, in the forms of the page.
4. Nobody is listed and nothing is searched. Who was never known and who was erased get the same page.
5. A page that is loaded again sends its form again. What changes something goes with the form's own key, so that an answer that somebody else overruled meanwhile is not recorded anew.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Annotated, Any, Final

from fastapi import Query, Response

from casehaven.web.backend import Answer
from casehaven.web.desk import Desk, Signed
from casehaven.web.forms import Form
from casehaven.web.router import PageRouter
from caseschemas import CaseSchema, SchemaAttribute, parse_schema

router = PageRouter()

WAIT_SECONDS: Final = 20
PURPOSES: Final = ("care", "own_statistics", "pooled_statistics", "synthetic_release")
KINDS: Final = {"txt": "text/plain; charset=utf-8", "json": "application/json", "csv": "text/csv; charset=utf-8"}
"""Kinds of an export, and what they are sent as."""
SHORT_LIST: Final = 30
SPOKEN: Final = {
    "am": "አማርኛ",
    "ar": "العربية",
    "bn": "বাংলা",
    "en": "English",
    "es": "Español",
    "fa": "فارسی",
    "fr": "Français",
    "hi": "हिन्दी",
    "id": "Bahasa Indonesia",
    "my": "မြန်မာ",
    "ne": "नेपाली",
    "pt": "Português",
    "ro": "Română",
    "ru": "Русский",
    "so": "Soomaali",
    "sw": "Kiswahili",
    "th": "ไทย",
    "ti": "ትግርኛ",
    "tl": "Tagalog",
    "tr": "Türkçe",
    "uk": "Українська",
    "ur": "اردو",
    "vi": "Tiếng Việt",
    "zh": "中文",
}
"""Languages that are offered for what consent was explained in, by their tags; any other tag can be typed."""
_OWN_PROBLEMS: Final = ("reason-needed", "several-people", "correction", "several-records", "consent-fact", "retention")
"""Refusals that are told on the form itself."""
ONCE: Final = frozenset({"correct", "consent", "retain", "export", "erase"})
"""What changes something or hands something out: sent again, the same form is the same job, and does nothing twice (rule 5)."""
_ROUTES: Final = {
    "find": "find",
    "show": "show",
    "edit": "show",
    "correct": "correct",
    "consent": "consent",
    "retain": "retention",
    "export": "export",
    "erase": "erase",
}
"""What is done, and the route that does it."""
NOT_CORRECTED: Final = frozenset({"person", "consent", "identifier"})
"""Roles of attributes that no correction touches."""


@router.get("/people")
async def people(desk: Signed, dataset: Annotated[str, Query(max_length=64)] = "") -> Response:
    """Whom, and why."""
    desk.require("person.find")
    return await _page(desk, desk.blank(dataset=dataset))


@router.post("/people")
async def act(desk: Signed) -> Response:
    """Do what was asked for about a person, and answer with what came of it (rule 1)."""
    form = await desk.sent()
    form.needed("dataset", "reference", "reason")
    do = form.text("do")
    if do not in _ROUTES:
        form.fault("reference", "forms.needed")
    body = _body(do, form) if form.fine else {}
    if not form.fine:
        return await _page(desk, form, status=422, do=do)
    answer = await _asked(desk, form, do, body)
    problem = answer.problem
    if problem is not None and problem.code in _OWN_PROBLEMS:
        form.problem = problem
        return await _page(desk, form, status=422, do=do)
    answer.checked()
    if answer.status != 200:
        return desk.page("people/wait.html", form=form, job=answer.job, action="/people", back="/people")
    result = answer.body["result"]
    if result is None:  # another look at the same job was faster
        return desk.page("people/wait.html", form=form, job=None, action="/people", back="/people")
    if do == "export" and result["found"]:
        return _file(desk, result)
    return await _page(desk, form, do=do, result=result)


async def _asked(desk: Desk, form: Form, do: str, body: Mapping[str, Any]) -> Answer:
    """Ask the route, or look at the job of an earlier try."""
    if form.text("job"):
        return await desk.ask("GET", "/v1/jobs/{}", form.text("job"), wait=WAIT_SECONDS)
    where = ("/v1/datasets/{}/{}/people/{}", desk.organisation, form.text("dataset"), _ROUTES[do])
    return await desk.ask("POST", *where, body=body, key=form.key if do in ONCE else "", wait=WAIT_SECONDS)


def _body(do: str, form: Form) -> dict[str, Any]:
    """Return what the route is asked; what is missing is a fault of the form."""
    body: dict[str, Any] = {"reference": form.text("reference"), "reason": form.text("reason")}
    if do == "consent":
        form.needed("purpose", "given", *(("language",) if form.text("given") == "yes" else ()))
        body |= {"purpose": form.text("purpose"), "given": form.text("given") == "yes"}
        body |= {name: form.text(name) for name in ("language", "dated") if form.text(name)}
    elif do == "correct":
        before = {name[4:]: values[0] for name, values in form.values.items() if name.startswith("old.")}
        changes = {name: now for name, old in before.items() if (now := form.text(f"new.{name}")) != old.strip()}
        body["changes"] = changes
        body["record"] = form.number("record", least=1, most=10**6)
        if not changes:
            form.fault("record", "people.nothing_changed")
    elif do == "export":
        body["kind"] = form.text("kind") if form.text("kind") in KINDS else "json"
    elif do == "retain":
        body["until"] = form.text("until") or None
    elif do == "erase":
        body["confirm"] = "ERASE"
        if form.text("confirm") != "ERASE":
            form.fault("confirm", "people.type_erase")
    return body


def _file(desk: Desk, result: Mapping[str, Any]) -> Response:
    """Return an export as a file for the person; it is kept nowhere."""
    kind = str(result["kind"])
    return desk.file(str(result["text"]).encode("utf-8"), name=f"person.{kind}", media_type=KINDS[kind])


async def _page(
    desk: Desk, form: Form, *, status: int = 200, do: str = "", result: Mapping[str, Any] | None = None
) -> Response:
    """Return the page of one person: the question, what came of it, and what can be done next."""
    found = (await desk.get("/v1/datasets"))["items"]
    datasets = [str(one["name"]) for one in found if one["organisation"] == desk.organisation]
    schema = None
    if result is not None and result["found"] and "person" in result:
        schema = parse_schema(await desk.get("/v1/datasets/{}/{}/schema", desk.organisation, form.text("dataset")))
    receipt = ""
    if result is not None and "signed" in result:
        receipt = base64.b64encode(str(result["signed"]).encode()).decode("ascii")
    record = 0
    if do == "edit" and schema is not None and result is not None:
        record = min(form.number("record", least=1, most=10**6), len(result["person"]["records"]))
    return desk.page(
        "people/one.html",
        status=status,
        form=form,
        do=do,
        datasets=datasets,
        result=result,
        schema=schema,
        record=record,
        receipt=receipt,
        purposes=PURPOSES,
        spoken=SPOKEN,
        meaning=meaning,
        latest=latest,
        editable=editable,
        short=SHORT_LIST,
        language=desk.words.language.code,
    )


def meaning(attribute: SchemaAttribute, cell: Mapping[str, str], language: str) -> str:
    """Return what a cell says in a language: the labels of its values; where the schema does not know all of it, what the export says."""
    if not attribute.values:
        return cell["meaning"]
    codes = {value.code: value.labels.text(language) or value.code for value in attribute.values}
    parts = attribute.parts(cell["value"]) if attribute.separators else (cell["value"],)
    if not all(part in codes for part in parts):
        return cell["meaning"]
    return "، ".join(codes[part] for part in parts) if language == "ar" else ", ".join(codes[part] for part in parts)


def latest(consent: list[dict[str, Any]], purpose: str) -> dict[str, Any] | None:
    """Return what counts for a purpose; None where the person was never asked."""
    versions = [one for one in consent if one["purpose"] == purpose]
    return max(versions, key=lambda one: int(one["version"])) if versions else None


def editable(schema: CaseSchema) -> list[SchemaAttribute]:
    """Return the attributes that a correction may change."""
    return [one for one in schema.attributes if one.role not in NOT_CORRECTED and one.derived is None]
