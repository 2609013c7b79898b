"""Checks of what does not stand by itself: attributes that follow from others, and the tables that matter."""

from __future__ import annotations

from typing import Any

from caseschemas._check_references import counted_attribute
from caseschemas._check_values import attribute_codes
from caseschemas._checker import Checker
from caseschemas.codelist import shipped_codelist, shipped_codelist_ids
from caseschemas.faults import pointer_to, quoted


def check_derived(checker: Checker) -> None:
    """A derived attribute has one of its values for every ordinary value of its source."""
    for position, attribute in checker.items("attributes"):
        derived = attribute.get("derived")
        if derived is None:
            continue
        pointer = pointer_to("attributes", position, "derived")
        block = checker.part("block")
        if attribute["kind"] == "multi" or (block is not None and block["attribute"] == attribute["name"]):
            checker.add(
                "derived-does-not-fit",
                pointer,
                found=f"{quoted(attribute['name'])}, which is "
                + ("of kind 'multi'" if attribute["kind"] == "multi" else "the block attribute"),
                expected="an attribute with one value for each person that dates nothing",
                advice="remove 'derived', or change the attribute",
            )
            continue
        source = counted_attribute(checker, derived["from"], f"{pointer}/from")
        if source is None:
            continue
        if source["kind"] == "multi" or "derived" in source or source["name"] == attribute["name"]:
            checker.add(
                "derived-does-not-fit",
                f"{pointer}/from",
                found=quoted(source["name"])
                + (
                    ", the attribute itself"
                    if source["name"] == attribute["name"]
                    else ", which is derived itself"
                    if "derived" in source
                    else " of kind 'multi'"
                ),
                expected="another attribute with one value for each person that is not derived",
                advice="name the attribute that it is derived from, or another one",
            )
        elif "hierarchy" in derived:
            _check_hierarchy(checker, f"{pointer}/hierarchy", derived["hierarchy"], attribute, source)
        else:
            _check_recode(checker, f"{pointer}/recode", derived["recode"], attribute, source)


def check_tables(checker: Checker) -> None:
    """Tables that matter name attributes that are counted and not derived, and a percentage needs a table."""
    tables = checker.part("tables") or []
    seen: dict[tuple[str, ...], int] = {}
    for number, table in enumerate(tables):
        first = seen.setdefault(tuple(sorted(table)), number)
        if first != number:
            checker.add(
                "repeated-item",
                pointer_to("tables", number),
                found="a table of the same attributes a second time",
                expected="each table once",
                advice=f"remove it (the first is at {pointer_to('tables', first)})",
            )
        for place, name in enumerate(table):
            pointer = pointer_to("tables", number, place)
            attribute = counted_attribute(checker, name, pointer)
            if attribute is not None and "derived" in attribute:
                checker.add(
                    "derived-does-not-fit",
                    pointer,
                    found=f"{quoted(name)}, which is derived and never measured",
                    expected="an attribute that is measured",
                    advice=f"name {quoted(attribute['derived'].get('from'))}"
                    if isinstance(attribute["derived"], dict)
                    else "name another attribute",
                )
    if "tablePercent" in checker.raw and not checker.raw.get("tables"):
        checker.add(
            "misplaced-field",
            "/tablePercent",
            found="a part of the budget for tables, of which there is none",
            expected="'tables' with at least one table",
            advice="add 'tables', or remove it",
        )


def _check_hierarchy(
    checker: Checker, pointer: str, name: str, attribute: dict[str, Any], source: dict[str, Any]
) -> None:
    known = {each["name"]: each for _, each in checker.items("hierarchies")}
    found = known.get(name)
    if found is None or found["attribute"] != source["name"]:
        mine = [each["name"] for each in known.values() if each["attribute"] == source["name"]]
        checker.unknown("unknown-hierarchy", pointer, name, mine, f"a hierarchy of {quoted(source['name'])}")
        return
    codes = attribute_codes(checker, attribute)
    parents = _parents(checker, found, source)
    if codes is None or parents is None:
        return
    for code in parents:
        if code not in codes:
            checker.unknown(
                "unknown-code", pointer, code, list(codes), f"parents that are codes of {quoted(attribute['name'])}"
            )


def _parents(checker: Checker, hierarchy: dict[str, Any], source: dict[str, Any]) -> list[str] | None:
    """Return the codes of a hierarchy's parents that have members; None where a part that they come from is broken."""
    if "parents" in hierarchy:
        return [parent["code"] for parent in hierarchy["parents"] if parent["members"]]
    own, _ = checker.codelist(source.get("codelist", ""))
    if own is not None:
        level = hierarchy["level"]
        return (
            list(dict.fromkeys(value.get("within", {}).get(level) for value in own["values"]))
            if all(level in value.get("within", {}) for value in own["values"])
            else None
        )
    if source.get("codelist") in shipped_codelist_ids():
        shared = shipped_codelist(source["codelist"]).level(hierarchy["level"])
        return None if shared is None else [code for code, _, members in shared.parents if members]
    return None


def _check_recode(
    checker: Checker, pointer: str, recode: dict[str, str], attribute: dict[str, Any], source: dict[str, Any]
) -> None:
    asked, codes = attribute_codes(checker, source, missing=False), attribute_codes(checker, attribute)
    if asked is None or codes is None:
        return
    for code, becomes in recode.items():
        place = pointer + pointer_to(code)
        if code not in asked:
            checker.unknown("unknown-code", place, code, list(asked), f"an ordinary value of {quoted(source['name'])}")
        elif becomes and becomes not in codes:
            checker.unknown("unknown-code", place, becomes, list(codes), f"a code of {quoted(attribute['name'])}")
    for code in asked:
        if code not in recode:
            checker.add(
                "underived-value",
                pointer,
                found=f"nothing for {quoted(code)}",
                expected=f"a code for each ordinary value of {quoted(source['name'])}",
                advice="add it; an empty text is the blank value",
            )
