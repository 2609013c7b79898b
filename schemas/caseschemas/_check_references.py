"""Checks of what the schema says about its attributes together: names, languages, person, block, consent, groups, hierarchies, logic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from caseschemas._check_values import attribute_codes
from caseschemas._checker import Checker
from caseschemas.codelist import shipped_codelist, shipped_codelist_ids
from caseschemas.faults import pointer_to, quoted


def check_names(checker: Checker) -> None:
    """Names are unique in their sort, whatever the case, and at least one attribute may be counted."""
    for field, key, what in (
        ("languages", "code", "language"),
        ("attributes", "name", "attribute"),
        ("groups", "name", "group"),
        ("hierarchies", "name", "hierarchy"),
        ("logic", "name", "rule"),
    ):
        seen: dict[str, int] = {}
        entries = checker.raw.get(field)
        for position, entry in enumerate(entries if isinstance(entries, list) else ()):
            name = entry.get(key) if isinstance(entry, dict) else None
            if not isinstance(name, str):
                continue
            first = seen.setdefault(name.casefold(), position)
            if first != position:
                checker.add(
                    "duplicate-name",
                    pointer_to(field, position, key),
                    found=f"a second {what} {quoted(name)}",
                    expected="each once; case makes no difference",
                    advice=f"rename it, or remove it (the first is at {pointer_to(field, first)})",
                )
    attributes = checker.part("attributes")
    if attributes is not None and not any(entry["role"] == "analysis" for entry in attributes):
        checker.add(
            "nothing-to-analyse",
            "/attributes",
            found="no attribute with the role 'analysis'",
            expected="at least one",
            advice="give an attribute the role 'analysis'",
        )


def check_languages(checker: Checker) -> None:
    """Every label is in a declared language, and has the default one."""
    languages = checker.part("languages")
    if languages is None:
        return
    declared = [language["code"] for language in languages]
    for pointer, labels in _all_labels(checker.raw, ""):
        if not checker.sound(*_steps(pointer)):
            continue
        for language in labels:
            if language not in declared:
                checker.unknown(
                    "undeclared-language", pointer + pointer_to(language), language, declared, "a declared language"
                )
        if declared[0] not in labels:
            checker.add(
                "missing-label",
                pointer,
                found="no text in " + quoted(declared[0]),
                expected=f"a text in the default language {quoted(declared[0])}",
                advice="add it, or make another language the first of 'languages'",
            )


def check_person(checker: Checker) -> None:
    """The person key is the one attribute with the role person."""
    key = checker.raw.get("personKey")
    if isinstance(key, str) and checker.sound("personKey"):
        attribute = checker.known_attribute(key, "/personKey")
        if attribute is not None and attribute["role"] != "person":
            checker.add(
                "person-does-not-fit",
                "/personKey",
                found=f"{quoted(key)} with the role {quoted(attribute['role'])}",
                expected="an attribute with the role 'person'",
                advice="change the role of the attribute, or name another one",
            )
    for position, attribute in checker.items("attributes"):
        if attribute["role"] == "person" and attribute["name"] != key:
            checker.add(
                "person-does-not-fit",
                pointer_to("attributes", position, "role"),
                found=f"the role 'person' on {quoted(attribute['name'])}, which is not the person key",
                expected="the role 'person' on the person key only",
                advice="name it in 'personKey', or use the role 'identifier'",
            )


def check_block(checker: Checker) -> None:
    """The block attribute is a date that is counted, and the first registration wins."""
    block = checker.part("block")
    if block is None:
        return
    attribute = checker.known_attribute(block["attribute"], "/block/attribute")
    if attribute is None:
        return
    found = {field: attribute.get(field) for field in ("kind", "role", "merge")}
    wanted = {"kind": "date", "role": "analysis", "merge": "min"}
    wrong = [field for field in wanted if found[field] != wanted[field]]
    if wrong:
        checker.add(
            "block-does-not-fit",
            "/block/attribute",
            found=f"{quoted(block['attribute'])} with "
            + ", ".join(f"{field} {quoted(found[field])}" for field in wrong),
            expected="a date for analysis whose first value wins: "
            + ", ".join(f"{field} {quoted(wanted[field])}" for field in wrong),
            advice="change the attribute, or name another one",
        )


def check_consent(checker: Checker) -> None:
    """Purposes name consent attributes, and every consent attribute serves a purpose."""
    consent = checker.raw.get("consent")
    named = set()
    for purpose, name in consent.items() if isinstance(consent, dict) else ():
        pointer = pointer_to("consent", purpose)
        if not checker.sound("consent", purpose):
            continue
        named.add(name)
        attribute = checker.known_attribute(name, pointer)
        if attribute is not None and attribute["role"] != "consent":
            checker.add(
                "consent-does-not-fit",
                pointer,
                found=f"{quoted(name)} with the role {quoted(attribute['role'])}",
                expected="an attribute with the role 'consent'",
                advice="change the role of the attribute, or name another one",
            )
    for position, attribute in checker.items("attributes"):
        if attribute["role"] == "consent" and attribute["name"] not in named:
            checker.add(
                "unused-consent",
                pointer_to("attributes", position, "role"),
                found=f"the consent attribute {quoted(attribute['name'])}, which serves no purpose",
                expected="a purpose in 'consent' that names it",
                advice="add it to 'consent', or remove it",
            )


def check_groups(checker: Checker) -> None:
    """Members exist and may be counted."""
    for position, group in checker.items("groups"):
        for number, name in enumerate(group["members"]):
            counted_attribute(checker, name, pointer_to("groups", position, "members", number))


def check_hierarchies(checker: Checker) -> None:
    """Every ordinary value of the attribute has exactly one parent."""
    for position, hierarchy in checker.items("hierarchies"):
        pointer = pointer_to("hierarchies", position)
        attribute = counted_attribute(checker, hierarchy["attribute"], f"{pointer}/attribute")
        if attribute is None:
            continue
        if "level" in hierarchy:
            _check_level(checker, f"{pointer}/level", hierarchy["level"], attribute)
        else:
            _check_parents(checker, f"{pointer}/parents", hierarchy["parents"], attribute)


def check_logic(checker: Checker) -> None:
    """Rules name attributes that may be counted and codes that exist, and none depends on itself."""
    for position, rule in checker.items("logic"):
        pointer = pointer_to("logic", position)
        condition = rule["onlyWith"]
        for number, name in enumerate(rule["attributes"]):
            counted_attribute(checker, name, f"{pointer}/attributes/{number}")
            if name == condition["attribute"]:
                checker.add(
                    "circular-rule",
                    f"{pointer}/attributes/{number}",
                    found=f"{quoted(name)} on both sides of the rule",
                    expected="an attribute that depends on another one",
                    advice="remove it from one side",
                )
        attribute = counted_attribute(checker, condition["attribute"], f"{pointer}/onlyWith/attribute")
        codes = None if attribute is None else attribute_codes(checker, attribute)
        if codes is None:
            continue
        for number, code in enumerate(condition["codes"]):
            if code not in codes:
                place = f"{pointer}/onlyWith/codes/{number}"
                checker.unknown("unknown-code", place, code, list(codes), f"a code of {quoted(condition['attribute'])}")


def counted_attribute(checker: Checker, name: str, pointer: str) -> dict[str, Any] | None:
    """The attribute that a place refers to if it is sound and may be counted."""
    attribute = checker.known_attribute(name, pointer)
    if attribute is None or attribute["role"] == "analysis":
        return attribute
    checker.add(
        "not-analysis",
        pointer,
        found=f"{quoted(name)} with the role {quoted(attribute['role'])}",
        expected="an attribute with the role 'analysis'",
        advice="remove it; only attributes for analysis are counted",
    )
    return None


def _check_level(checker: Checker, pointer: str, name: str, attribute: dict[str, Any]) -> None:
    if "codelist" not in attribute:
        checker.add(
            "no-codelist",
            pointer,
            found=f"a level of {quoted(attribute['name'])}, which has no code list",
            expected="an attribute with 'codelist'",
            advice="write the coarser values in 'parents'",
        )
        return
    own, _ = checker.codelist(attribute["codelist"])
    if own is not None:
        levels = [level["name"] for level in own.get("levels", ())]
    elif attribute["codelist"] in shipped_codelist_ids():
        levels = [level.name for level in shipped_codelist(attribute["codelist"]).levels]
    else:
        return
    if name not in levels:
        checker.unknown(
            "unknown-level", pointer, name, levels, f"a level of the code list {quoted(attribute['codelist'])}"
        )


def _check_parents(checker: Checker, pointer: str, parents: list[dict[str, Any]], attribute: dict[str, Any]) -> None:
    codes = attribute_codes(checker, attribute, missing=False)
    if codes is None:
        return
    seen: set[str] = set()
    placed: set[str] = set()
    for number, parent in enumerate(parents):
        place = f"{pointer}/{number}"
        if parent["code"] in seen:
            checker.add(
                "duplicate-code",
                f"{place}/code",
                found=f"a second parent with the code {quoted(parent['code'])}",
                expected="each code once",
                advice="change one of the two",
            )
        seen.add(parent["code"])
        for spot, code in enumerate(parent["members"]):
            if code not in codes:
                checker.unknown(
                    "unknown-code",
                    f"{place}/members/{spot}",
                    code,
                    list(codes),
                    f"a code of {quoted(attribute['name'])}",
                )
            elif code in placed:
                checker.add(
                    "placed-twice",
                    f"{place}/members/{spot}",
                    found=f"{quoted(code)}, which has another parent already",
                    expected="one parent for each value",
                    advice="remove it from one of the two",
                )
            placed.add(code)
    for code in codes:
        if code not in placed:
            checker.add(
                "unplaced-value",
                pointer,
                found=f"no parent for {quoted(code)}",
                expected="one parent for each ordinary value",
                advice="add it to the members of a parent",
            )


def _all_labels(value: Any, pointer: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of labels in the document."""
    named = pointer in ("/missing", "/codelists")  # here the keys are names that the author chose, not fields
    if isinstance(value, list):
        for position, item in enumerate(value):
            yield from _all_labels(item, f"{pointer}/{position}")
    elif isinstance(value, dict):
        for key, item in value.items():
            place = pointer + pointer_to(key)
            if key in ("labels", "description", "title") and isinstance(item, dict) and not named:
                yield place, item
            else:
                yield from _all_labels(item, place)


def _steps(pointer: str) -> list[str]:
    return [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
