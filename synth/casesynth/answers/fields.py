"""The fields of a question, read strictly: an object with these keys and no others, a list of so many entries, a number within its limits (privacy rule 22)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from casesynth.errors import CasesynthError

LABEL_MAX: Final = 80


class QuestionError(CasesynthError):
    """A question that the grammar or the domain does not know; says where, what came and what was expected."""


def an_object(
    raw: object, place: str, *, needed: set[str], optional: set[str] | None = None, instead: str = ""
) -> Mapping[str, Any]:
    """Return an object with all keys that are needed, and none that is not named.

    Raises:
        QuestionError: it is something else.
    """
    allowed = needed | (optional or set())
    if not isinstance(raw, Mapping) or not needed <= set(raw) or not set(raw) <= allowed:
        unknown = sorted(str(key)[:LABEL_MAX] for key in set(raw) - allowed)[:1] if isinstance(raw, Mapping) else []
        what = f", got the unknown key {unknown[0]!r}" if unknown else ""
        keys = ", ".join(sorted(allowed)[:12]) or "no key"
        raise QuestionError(
            f"{place or '/'}: expected {instead + ' or ' if instead else ''}an object with {keys}{what}"
        )
    return raw


def a_list(raw: object, place: str, *, least: int = 0, most: int) -> Sequence[Any]:
    """Return a list of so many entries.

    Raises:
        QuestionError: it is something else.
    """
    if not isinstance(raw, list | tuple) or not least <= len(raw) <= most:
        raise QuestionError(f"{place}: expected a list of {least} to {most} entries")
    return raw


def a_whole_number(raw: object, place: str, low: int, high: int) -> int:
    """Return a whole number between two others.

    Raises:
        QuestionError: it is something else.
    """
    if isinstance(raw, bool) or not isinstance(raw, int) or not low <= raw <= high:
        raise QuestionError(f"{place}: expected a whole number from {low} to {high}")
    return raw


def a_number(raw: object, place: str, low: float, high: float) -> float:
    """Return a number between two others.

    Raises:
        QuestionError: it is something else.
    """
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not low <= raw <= high:
        raise QuestionError(f"{place}: expected a number from {low:g} to {high:g}")
    return float(raw)


def a_label(raw: object, place: str) -> str:
    """Return a text that people can read.

    Raises:
        QuestionError: it is something else.
    """
    if not isinstance(raw, str) or not 1 <= len(raw) <= LABEL_MAX or not raw.isprintable():
        raise QuestionError(f"{place}: expected a text of 1 to {LABEL_MAX} characters")
    return raw
