"""Checks of what one attribute or one code list says about its values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from caseschemas._build import build_periods
from caseschemas._checker import Checker
from caseschemas.attribute import MERGES, ROLES, UNLISTED_KINDS, Band
from caseschemas.cells import number_range, whole_number
from caseschemas.codelist import shipped_codelist, shipped_codelist_ids
from caseschemas.faults import pointer_to, quoted
from caseschemas.words import normal

MAX_VALUES = 10_000
"""A list of values may be this long; the same limit as in case-schema.schema.json."""


@dataclass(frozen=True, kw_only=True)
class _Listed:
    """A value of a list under check."""

    code: str
    words: tuple[str, ...]
    pointer: str
    """Where a fault about it is reported."""


def check_codelists(checker: Checker) -> None:
    """Check the document's own code lists."""
    for name in checker.raw.get("codelists") or () if isinstance(checker.raw.get("codelists"), dict) else ():
        codelist = checker.part("codelists", name)
        if name in shipped_codelist_ids():
            checker.add(
                "shadowed-codelist",
                pointer_to("codelists", name),
                found=f"a code list named {quoted(name)}",
                expected="a name that no shipped code list has",
                advice="rename it, and where it is used",
            )
        if codelist is None:
            continue
        _check_words(checker, _listed(codelist["values"], "codelists", name, "values"))
        _check_levels(checker, codelist, ("codelists", name))


def check_attribute(checker: Checker, position: int, raw: dict[str, Any]) -> None:
    """Check one attribute of sound shape."""
    here = ("attributes", position)
    kind, role = raw["kind"], raw["role"]
    if role not in ROLES[kind]:
        checker.add(
            "role-does-not-fit",
            pointer_to(*here, "role"),
            found=f"role {quoted(role)} on kind {quoted(kind)}",
            expected=_one_of(ROLES[kind]),
            advice="an identifier or free text is never analysed; change the role, or the kind"
            if kind in UNLISTED_KINDS
            else "change the role, or the kind",
        )
    if kind in UNLISTED_KINDS:
        return
    _check_merge(checker, here, raw)
    missing = list(_missing(checker, here, raw))
    known = list(_known(checker, here, raw))
    if kind == "flag" and len(known) != 1 and ("values" in raw or known):
        checker.add(
            "flag-values",
            pointer_to(*here, "values" if "values" in raw else "codelist"),
            found=f"{len(known)} ordinary values",
            expected="one, the value that means yes",
            advice="keep the value that means yes; write no as a missing value that means no, or use kind 'category'",
        )
    # a code list that the document defines was checked at its own place
    shared = "codelist" in raw and raw["codelist"] not in shipped_codelist_ids()
    _check_words(
        checker, missing + known, skip_between=range(len(missing), len(missing) + len(known)) if shared else range(0)
    )
    if "outside" in raw:
        codes = [value.code for value in missing + known]
        if raw["outside"] not in codes and known:
            checker.unknown(
                "unknown-code",
                pointer_to(*here, "outside"),
                raw["outside"],
                codes,
                "the code of a value of the attribute",
            )
    for number, separator in enumerate(raw.get("separators", ())):
        code = next((value.code for value in known if separator in value.code), None)
        if code is not None:
            checker.add(
                "separator-in-code",
                pointer_to(*here, "separators", number),
                found=f"the separator {quoted(separator)}, which occurs in the code {quoted(code)}",
                expected="a separator that occurs in no code",
                advice="choose another separator, or another code",
            )


def _check_merge(checker: Checker, here: tuple[str, int], raw: dict[str, Any]) -> None:
    kind, merge = raw["kind"], raw["merge"]
    if merge not in MERGES[kind]:
        checker.add(
            "merge-does-not-fit",
            pointer_to(*here, "merge"),
            found=f"merge rule {quoted(merge)} on kind {quoted(kind)}",
            expected=_one_of(MERGES[kind]),
            advice="the order of countries means nothing; use 'agree'"
            if kind == "country"
            else "choose one that fits the kind",
        )
    elif merge in ("earliest", "latest") and "block" not in checker.raw:
        checker.add(
            "merge-needs-block",
            pointer_to(*here, "merge"),
            found=f"merge rule {quoted(merge)} in a schema without a registration date",
            expected="a field 'block' that names the date of registration",
            advice="add 'block', or use 'agree'",
        )


def _missing(checker: Checker, here: tuple[str, int], raw: dict[str, Any]) -> Iterator[_Listed]:
    """The missing values of an attribute, checked."""
    shared = checker.raw.get("missing")
    names = list(shared) if isinstance(shared, dict) else []
    no_seen = False
    for number, entry in enumerate(raw["missing"]):
        pointer = pointer_to(*here, "missing", number)
        if isinstance(entry, str):
            if entry not in names:
                checker.unknown("unknown-missing", pointer, entry, names, "a missing value that the schema defines")
                continue
            entry = checker.part("missing", entry)
            if entry is None:
                continue
        if number == 0 and entry["means"] == "no":
            checker.add(
                "blank-is-no",
                pointer,
                found=f"{quoted(entry['code'])}, which means no, as the blank value",
                expected="a value that means unknown or not asked",
                advice="put another missing value first; an empty cell is no answer",
            )
        if no_seen and entry["means"] != "no":
            checker.add(
                "missing-order",
                pointer,
                found=f"{quoted(entry['code'])}, which means {entry['means']}, after a value that means no",
                expected="unknown and not asked first, then no",
                advice="move it up; the order decides which value wins when records are merged",
            )
        no_seen = no_seen or entry["means"] == "no"
        if number > 0 and not entry["code"]:
            checker.add(
                "empty-code",
                pointer,
                found="an empty code on a value other than the first",
                expected="a code with a visible character",
                advice="move it to the first place, or give it a code",
            )
            continue
        yield _Listed(code=entry["code"], words=_words(entry), pointer=pointer)


def _known(checker: Checker, here: tuple[str, int], raw: dict[str, Any]) -> Iterator[_Listed]:
    """The ordinary values of an attribute, checked as far as they are its own."""
    if "bands" in raw:
        _check_bands(checker, here, raw["bands"])
        yield from _listed(raw["bands"], *here, "bands")
    elif "periods" in raw:
        yield from _check_periods(checker, here, raw["periods"])
    elif "values" in raw:
        yield from _listed(raw["values"], *here, "values")
    else:
        pointer = pointer_to(*here, "codelist")
        own, exists = checker.codelist(raw["codelist"])
        if own is not None:
            yield from (_Listed(code=value["code"], words=_words(value), pointer=pointer) for value in own["values"])
        elif not exists:
            lists = [*(checker.raw.get("codelists") or ()), *shipped_codelist_ids()]
            checker.unknown(
                "unknown-codelist", pointer, raw["codelist"], lists, "a code list of the document or a shipped one"
            )
        elif raw["codelist"] in shipped_codelist_ids():
            values = shipped_codelist(raw["codelist"]).values
            yield from (_Listed(code=value.code, words=value.words, pointer=pointer) for value in values)


def _check_bands(checker: Checker, here: tuple[str, int], bands: list[dict[str, Any]]) -> None:
    last = len(bands) - 1
    for number, band in enumerate(bands):
        pointer = pointer_to(*here, "bands", number)
        low, high = band.get("from"), band.get("to")
        open_inside = [
            end
            for end, missing in (("from", low is None and number > 0), ("to", high is None and number < last))
            if missing
        ]
        if open_inside or low is not None and high is not None and low > high:
            checker.add(
                "band-ends",
                pointer,
                found=f"no {quoted(open_inside[0])} in the middle of the list"
                if open_inside
                else f"a band from {low} to {high}",
                expected="from at most to; only the first band without 'from', only the last without 'to'",
                advice="write both ends" if open_inside else "exchange the ends",
            )
            continue
        before = bands[number - 1].get("to") if number else None
        if before is not None and low is not None and low != before + 1:
            overlap = low <= before
            checker.add(
                "overlapping-bands" if overlap else "gapped-bands",
                pointer,
                found=f"a band from {low} after one to {before}",
                expected=f"a band from {before + 1}",
                advice="bands ascend and share no number" if overlap else "close the gap; every number needs a band",
            )
        else:
            _check_band_words(checker, pointer, band, Band(low=low, high=high))


def _check_band_words(checker: Checker, pointer: str, raw: dict[str, Any], band: Band) -> None:
    """The code of a band that reads as a range is the range of the band; other words that read as numbers lie inside it."""
    for position, word in enumerate((raw["code"], *raw.get("synonyms", ()))):
        number = whole_number(normal(word))
        ends = number_range(normal(word)) if number is None else (number, number)
        if ends is None:
            continue
        low, high = ends
        inside = band.holds(low) and (band.high is None if high is None else band.holds(high))
        same = band.low in (None, low) and band.high in (None, high)
        if not inside or position == 0 and number is None and not same:
            checker.add(
                "misleading-word",
                pointer,
                found=f"{quoted(word)} for the numbers from {_end(band.low)} to {_end(band.high)}",
                expected="a code that reads as the band's own ends, and synonyms that read as numbers inside it",
                advice="correct the word or the ends",
            )


def _check_periods(checker: Checker, here: tuple[str, int], raw: dict[str, Any]) -> Iterator[_Listed]:
    pointer = pointer_to(*here, "periods")
    try:
        periods = build_periods(raw)
    except ValueError:
        form = {"year": "2002", "month": "2002-01", "day": "2002-01-31"}[raw["granularity"]]
        checker.add(
            "bad-periods",
            pointer,
            found=f"periods from {quoted(raw['from'])} to {quoted(raw['to'])} of granularity {quoted(raw['granularity'])}",
            expected=f"two real dates of the form {form}, the first not after the last",
            advice="correct the ends, or the granularity",
        )
        return
    if len(periods) > MAX_VALUES:
        checker.add(
            "too-many-values",
            pointer,
            found=f"{len(periods)} periods",
            expected=f"at most {MAX_VALUES}",
            advice="choose a coarser granularity or a shorter time",
        )
        return
    yield from (_Listed(code=code, words=(code,), pointer=pointer) for code in periods.codes())


def _check_words(checker: Checker, values: list[_Listed], skip_between: range = range(0)) -> None:
    """No two values share a word; pairs that both lie in `skip_between` were checked elsewhere."""
    owners: dict[str, int] = {}
    for number, value in enumerate(values):
        for text in value.words:
            word = normal(text)
            if not word and text:
                checker.add(
                    "blank-word",
                    value.pointer,
                    found=f"{quoted(text)}, which shows nothing",
                    expected="a word with a visible character",
                    advice="write a word, or remove it",
                )
                continue
            owner = owners.setdefault(word, number)
            if owner == number or owner in skip_between and number in skip_between:
                continue
            other = values[owner]
            same_code = normal(other.code) == word == normal(value.code)
            checker.add(
                "duplicate-code" if same_code else "shared-word",
                value.pointer,
                found=f"{quoted(text)} on {quoted(value.code)}, which is also a word for {quoted(other.code)}",
                expected="each word for one value only; case, spacing and Unicode form make no difference",
                advice=f"remove it from one of the two (the other is at {other.pointer})",
            )


def _check_levels(checker: Checker, codelist: dict[str, Any], here: tuple[str, str]) -> None:
    levels = codelist.get("levels", [])
    names = [level["name"] for level in levels]
    for number, name in enumerate(names):
        if name in names[:number]:
            checker.add(
                "duplicate-name",
                pointer_to(*here, "levels", number),
                found=f"a second level named {quoted(name)}",
                expected="each name once",
                advice="rename it, or remove it",
            )
        codes = [value["code"] for value in levels[number]["values"]]
        for place, code in enumerate(codes):
            if code in codes[:place]:
                checker.add(
                    "duplicate-code",
                    pointer_to(*here, "levels", number, "values", place),
                    found=f"a second value with the code {quoted(code)}",
                    expected="each code once",
                    advice="change one of the two",
                )
    for number, value in enumerate(codelist["values"]):
        within = value.get("within", {})
        for name in within:
            if name not in names:
                checker.unknown(
                    "unknown-level",
                    pointer_to(*here, "values", number, "within", name),
                    name,
                    names,
                    "a level of the code list",
                )
        for level in levels:
            if level["name"] not in within:
                checker.add(
                    "unplaced-value",
                    pointer_to(*here, "values", number),
                    found=f"{quoted(value['code'])} without a place in level {quoted(level['name'])}",
                    expected="one coarser value per level, in 'within'",
                    advice="add it to 'within'",
                )
                continue
            codes = [entry["code"] for entry in level["values"]]
            if within[level["name"]] not in codes:
                spot = pointer_to(*here, "values", number, "within", level["name"])
                checker.unknown("unknown-code", spot, within[level["name"]], codes, "a code of the level")


def _listed(values: list[dict[str, Any]], *here: str | int) -> list[_Listed]:
    return [
        _Listed(code=value["code"], words=_words(value), pointer=pointer_to(*here, number))
        for number, value in enumerate(values)
    ]


def _words(raw: dict[str, Any]) -> tuple[str, ...]:
    return (raw["code"], *raw.get("labels", {}).values(), *raw.get("synonyms", ()))


def _one_of(choices: Iterable[str]) -> str:
    return "one of " + ", ".join(quoted(choice) for choice in sorted(choices))


def _end(number: int | None) -> str:
    return "any" if number is None else str(number)


def attribute_codes(checker: Checker, raw: dict[str, Any], *, missing: bool = True) -> dict[str, None] | None:
    """The codes of an attribute of sound shape, in order; None if a part that they come from is absent or broken."""
    codes: list[str] = []
    for entry in raw.get("missing", ()) if missing else ():
        named = checker.part("missing", entry) if isinstance(entry, str) else entry
        if named is None:
            return None
        codes.append(named["code"])
    if "periods" in raw:
        try:
            periods = build_periods(raw["periods"])
        except ValueError:
            return None
        codes += periods.codes() if len(periods) <= MAX_VALUES else ()
    elif "codelist" in raw:
        own, _ = checker.codelist(raw["codelist"])
        if own is not None:
            codes += [value["code"] for value in own["values"]]
        elif raw["codelist"] in shipped_codelist_ids():
            codes += [value.code for value in shipped_codelist(raw["codelist"]).values]
        else:
            return None
    else:
        codes += [value["code"] for value in raw.get("bands", raw.get("values", ()))]
    return dict.fromkeys(codes)
