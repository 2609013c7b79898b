"""Saved questions: what official statistics ask for, as questions of a schema whose roles are known (SDG indicator 16.2.2, EU Directive 2011/36 as amended in 2024).

The registering organisation is not an attribute of a record: the directive's question by organisation is asked of each organisation's datasets by themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from casehaven.queries.errors import SavedQuestionError
from casehaven.releases.indicators.roles import ListRole, Roles, RolesNeededError, shipped_roles
from caseschemas import CaseSchema

_LANGUAGE = "en"
_FORM = "form of exploitation"

Axes = tuple[str, ...]

SAVED: Final[dict[str, tuple[str, Axes]]] = {
    "sdg-16.2.2": ("SDG indicator 16.2.2: victims by sex, age group and form of exploitation", ("sex", "age", "form")),
    "sdg-16.2.2-year-sex": ("SDG indicator 16.2.2 by year, without age", ("year", "sex", "form")),
    "sdg-16.2.2-year-age": ("SDG indicator 16.2.2 by year, without sex", ("year", "age", "form")),
    "eu-citizenship-age": ("EU directive: victims by citizenship, sex and age group", ("citizenship", "sex", "age")),
    "eu-citizenship-form": (
        "EU directive: victims by citizenship, sex and form of exploitation",
        ("citizenship", "sex", "form"),
    ),
    "eu-status": ("EU directive: identified and presumed victims by sex and age group", ("status", "sex", "age")),
}
"""Name of a saved question: what it is, and by which roles."""


def saved_question(name: str, schema: CaseSchema, roles: Roles | None = None) -> dict[str, Any]:
    """Return a saved question, without an accuracy, as a document of the grammar.

    Args:
        name: of `SAVED`.
        schema: of the datasets.
        roles: which attributes are sex, age and so on; None: those that come with Casehaven for the schema.

    Raises:
        SavedQuestionError: there is none of that name, or the schema cannot play its roles.
    """
    if name not in SAVED:
        raise SavedQuestionError(f"no saved question {name[:40]!r}, expected one of {', '.join(SAVED)}")
    try:
        found = shipped_roles(schema) if roles is None else roles
    except RolesNeededError as error:
        raise SavedQuestionError(str(error)) from None
    axes: dict[str, Callable[[], Any]] = {
        "sex": lambda: _listed(found.sex),
        "citizenship": lambda: _listed(found.citizenship),
        "year": lambda: _listed(found.year),
        "status": lambda: _listed(found.status),
        "age": lambda: _ages(found),
        "form": lambda: _forms(found, schema),
    }
    by = [axes[role]() for role in SAVED[name][1]]
    if None in by:
        lacking = SAVED[name][1][by.index(None)]
        raise SavedQuestionError(f"{schema.id} has no attribute for {lacking}, which {name} asks for")
    return {"format": "casehaven-question/1", "by": by}


def _listed(role: ListRole | None) -> Any:
    return None if role is None else role.attribute


def _ages(roles: Roles) -> Any:
    if roles.age is None:
        return None
    groups = [{"label": group.label, "codes": list(group.codes)} for group in roles.age_groups]
    return {"attribute": roles.age, "groups": groups}


def _forms(roles: Roles, schema: CaseSchema) -> Any:
    if not roles.forms:
        return None
    if len(roles.forms) == 1:
        return roles.forms[0]
    facts = []
    for name in roles.forms:
        attribute = schema.attribute(name)
        codes = [value.code for value in attribute.values if value.missing is None]
        facts.append({"label": attribute.labels.text(_LANGUAGE) or name, "attribute": name, "codes": codes})
    return {"label": _FORM, "facts": facts}
