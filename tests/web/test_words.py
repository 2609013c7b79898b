"""The words of the pages are whole: every key in every language, with the same places to fill in, and every key that a page asks for is there."""

from __future__ import annotations

import importlib.resources
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from casehaven.core.job_kinds import KINDS
from casehaven.organisations.access import STEP_UP, Operation
from casehaven.organisations.roles import Role
from casehaven.web.navigation import MENU
from casehaven.web.sign_in_pages import SAID
from casehaven.web.words import LANGUAGES, all_words

WEB = Path(str(importlib.resources.files("casehaven.web")))
PLACE = re.compile(r"\{\w+\}")
LITERAL = re.compile(
    r"""\b(?:t|text|words\.text|words\.markup|fault)\(\s*(?:"[\w-]+",\s*)?["']([a-z_]+\.[\w.-]+)["']\s*[,)|]"""
)
DYNAMIC = re.compile(r"""\b(?:t|text)\(\s*["']([a-z_]+\.[\w.-]*)["']\s*~""")
FAMILIES = sorted({file.name.partition(".")[0] for file in (WEB / "words").iterdir()})


def _sources() -> Iterator[tuple[str, str]]:
    for file in sorted([*WEB.rglob("*.html"), *WEB.glob("*.py")]):
        yield file.name, file.read_text(encoding="utf-8")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_has_the_same_keys_with_the_same_places_in_every_language(family: str) -> None:
    found = {}
    for code in LANGUAGES:
        text = (WEB / "words" / f"{family}.{code}.json").read_text(encoding="utf-8")
        pairs = json.loads(text, object_pairs_hook=list)
        found[code] = dict(pairs)
        assert len(pairs) == len(found[code]), f"{family}.{code}: a key is there twice"
    first = found["en"]
    for code, words in found.items():
        assert words.keys() == first.keys(), (family, code, set(words) ^ set(first))
        for key, said in words.items():
            assert said.strip(), (family, code, key)
            assert sorted(PLACE.findall(said)) == sorted(PLACE.findall(first[key])), (family, code, key)


def test_every_key_that_a_page_names_is_there() -> None:
    known = all_words("en")
    missing = [(name, key) for name, text in _sources() for key in LITERAL.findall(text) if key not in known]
    assert missing == []


def test_every_key_is_asked_for_by_a_page() -> None:
    sources = [text for _, text in _sources()]
    whole = "\n".join(sources)
    begun = {prefix for text in sources for prefix in DYNAMIC.findall(text)}
    whole += " ".join(f"sign_in.{key}" for key in SAID)
    begun |= {"problems.", "operations.", "jobs.kind_", "jobs.phase_"}
    spare = [key for key in all_words("en") if key not in whole and not any(key.startswith(one) for one in begun)]
    assert spare == []


def test_every_page_of_the_menu_role_kind_of_job_and_operation_has_words() -> None:
    known = all_words("en")
    wanted = [f"nav.{entry.name}" for entry in MENU]
    wanted += [f"nav.{entry.name}_why" for entry in MENU if entry.name != "home"]
    wanted += [f"home.role_{role}" for role in Role] + [f"members.role_{role}" for role in Role]
    wanted += [f"jobs.kind_{kind}" for kind in KINDS]
    wanted += [f"operations.{one}" for one in Operation if one not in STEP_UP]
    assert [key for key in wanted if key not in known] == []


def test_a_language_without_a_reviewer_says_so() -> None:
    assert {code: language.reviewed for code, language in LANGUAGES.items()} == {"en": True, "ar": False}
