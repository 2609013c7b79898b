"""Codebooks: everything that the schema says is in them, in the language asked for, and nothing of a schema can break the page."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from casehaven.cli.schema import ExistingCodebookError, command
from caseschemas import (
    CaseSchema,
    codebook,
    load_mapping,
    load_schema,
    markdown,
    page,
    parse_schema,
    shipped_schema_ids,
)
from caseschemas._codebook_words import KINDS, LEAVES, MERGES, ROLES, WORDS
from caseschemas.attribute import MERGES as MERGES_OF_KINDS
from caseschemas.attribute import ROLES as ROLES_OF_KINDS

LANGUAGES = ["en", "fr", "es", "ar"]
SHIPPED = [(schema_id, language) for schema_id in shipped_schema_ids() for language in LANGUAGES]


class Page(HTMLParser):
    """Text, open elements and attributes of a page; refuses one that is not nested properly."""

    VOID = frozenset({"meta"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text.append(data)

    @property
    def said(self) -> str:
        return "".join(self.text)


def unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def said_by(schema: CaseSchema, language: str) -> list[str]:
    """Everything that a codebook has to say."""
    words = [schema.title.text(language), schema.description.text(language), schema.id, schema.version, schema.digest()]
    for attribute in schema.attributes:
        words += [attribute.name, attribute.labels.text(language), attribute.description.text(language)]
        words += [LEAVES[attribute.role].text(language), KINDS[attribute.kind].text(language)]
        words += [MERGES[attribute.merge].text(language)] if attribute.merge else []
        for value in attribute.values:
            words += [value.code, value.labels.text(language), *value.synonyms]
    for group in schema.groups:
        words += [group.labels.text(language), *group.members]
    for hierarchy in schema.hierarchies:
        words += [hierarchy.labels.text(language)]
        words += [word for parent in hierarchy.parents for word in (parent.code, parent.labels.text(language))]
    for rule in schema.logic:
        words += [rule.labels.text(language), rule.only_with.attribute]
    for source in schema.sources:
        words += [source.title, source.url or "", source.licence or "", source.notice or ""]
    return words


@pytest.mark.parametrize(("schema_id", "language"), SHIPPED)
def test_everything_that_a_shipped_schema_says_is_in_both_forms(schema_id: str, language: str) -> None:
    schema = load_schema(schema_id)
    blocks = codebook(schema, language=language)
    html, text = Page(page(blocks, language=language)).said, unescaped(markdown(blocks))
    for word in said_by(schema, language):
        assert word in html, word
        assert word in text, word


@pytest.mark.parametrize(("schema_id", "language"), SHIPPED)
def test_page_needs_no_network_and_no_script_and_says_its_language(schema_id: str, language: str) -> None:
    text = page(codebook(load_schema(schema_id), language=language), language=language)
    elements = Page(text).elements
    assert not {tag for tag, _ in elements} & {"script", "link", "img", "iframe", "object", "form"}
    assert "url(" not in text and "@import" not in text
    assert ("html", {"lang": language, "dir": "rtl" if language == "ar" else "ltr"}) in elements
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"] or "" for tag, attributes in elements if tag == "a"]
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert all(link.startswith(("#", "https://")) for link in links)
    tables = [tag for tag, _ in elements if tag == "table"]
    assert len(tables) == len([tag for tag, _ in elements if tag == "caption"])
    assert {attributes.get("scope") for tag, attributes in elements if tag == "th"} == {"col", "row"}


def test_a_text_without_translation_says_its_own_language_and_direction() -> None:
    elements = Page(page(codebook(load_schema("htcds-2.0"), language="ar"), language="ar")).elements
    assert ("span", {"lang": "en", "dir": "ltr"}) in elements
    for language in ("en", "en-GB"):
        elements = Page(page(codebook(load_schema("htcds-2.0"), language=language), language=language)).elements
        assert "span" not in {tag for tag, _ in elements}


def test_only_attributes_for_analysis_are_said_to_leave_the_vault() -> None:
    (table,) = [
        part for part in markdown(codebook(load_schema("htcds-2.0"))).split("## ") if part.startswith("What leaves")
    ]
    rows = {row.split(" | ")[0].strip("| "): row for row in table.splitlines() if row.startswith("| ")}
    assert "only as counts with noise" in rows["analysis"]
    assert "`prs_Gender`" in rows["analysis"]
    assert "Never leaves the vault" in rows["identifier"]
    assert "`prs_FirstName`" in rows["identifier"]
    assert "`cas_IncomingReferralDetails`" in rows["text"]


def test_mapping_is_written_out_with_coverage_and_notes() -> None:
    mapping = load_mapping("htcds-2.0", "ctdc-global")
    text = unescaped(markdown(codebook(load_schema("htcds-2.0"), mappings=(mapping,))))
    for column in mapping.columns:
        (row,) = [row for row in text.split("## Mapping to")[1].splitlines() if row.startswith(f"| `{column.to}` |")]
        assert column.note.text("en") in row
        assert (column.source or "") in row
        assert all(code in row for code in (*column.codes, *column.recode))
    assert "NotAVictimOfTrafficking" in text


def test_every_role_kind_and_merge_rule_has_words_in_every_language() -> None:
    assert set(KINDS) == set(MERGES_OF_KINDS)
    assert set(ROLES) == set(LEAVES) == frozenset().union(*ROLES_OF_KINDS.values())
    assert set(MERGES) == frozenset().union(*MERGES_OF_KINDS.values())
    for words in (WORDS, KINDS, ROLES, LEAVES, MERGES):
        assert all(list(labels) == LANGUAGES for labels in words.values())


def test_every_word_is_used(example_schema: CaseSchema) -> None:
    schemas = (example_schema, *(load_schema(schema_id) for schema_id in shipped_schema_ids()))
    mapping = load_mapping("htcds-2.0", "ctdc-global")
    text = "".join(unescaped(markdown(codebook(schema, language="fr", mappings=(mapping,)))) for schema in schemas)
    unused = {key for key, labels in WORDS.items() if labels["fr"] not in text}
    assert unused == {"all", "no person key", "none"}  # every example has a person key, a block and consent


@pytest.mark.parametrize(
    "nasty", ["<script>alert(1)</script>", "a|b", "`code`", "*bold* _it_ [x](javascript:y)", "&amp;", "\"'>"]
)
def test_nothing_in_a_schema_breaks_the_page_or_the_table(example: dict[str, Any], nasty: str) -> None:
    example["title"]["en"] = example["attributes"][7]["labels"]["en"] = nasty
    example["attributes"][7]["values"][0]["code"] = nasty
    example["attributes"][7]["values"][0]["labels"]["en"] = nasty
    example["sources"] = [{"title": nasty, "url": "javascript:alert(1)"}]
    blocks = codebook(parse_schema(example))
    read = Page(page(blocks))
    assert read.said.count(nasty) >= 5
    assert "script" not in {tag for tag, _ in read.elements}
    assert not [attributes for _, attributes in read.elements if "javascript" in (attributes.get("href") or "")]
    text = markdown(blocks)
    assert not re.search(r"(?<!\\)<script", re.sub(r"(`+).*?\1", "", text))
    widths: set[int] = set()
    for line in text.splitlines():
        if line.startswith("|"):
            widths.add(len(re.findall(r"(?<!\\)\|", line)))
        elif widths:
            assert len(widths) == 1, line
            widths = set()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def test_docs_writes_markdown_to_the_screen_and_files_by_suffix(tmp_path: Path) -> None:
    shown = run("docs", "htcds-2.0")
    assert shown.exit_code == 0
    assert "## Mapping to `ctdc-global`" in shown.output
    for name in ("book.md", "book.html"):
        assert run("docs", "htcds-2.0", "-o", str(tmp_path / name)).output == f"wrote {tmp_path / name}\n"
    assert (tmp_path / "book.md").read_text("utf-8") == shown.output
    assert (tmp_path / "book.html").read_text("utf-8").startswith("<!doctype html>")


def test_docs_speaks_the_language_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "book.html"
    assert run("docs", "ctdc-global", "--language", "ar", "-o", str(path)).exit_code == 0
    assert 'dir="rtl"' in path.read_text("utf-8")
    assert "ما يخرج من الخزنة" in path.read_text("utf-8")


def test_docs_of_a_file_of_your_own(tmp_path: Path, example_text: str) -> None:
    (tmp_path / "mine.json").write_text(example_text, "utf-8")
    assert "Shelter intake" in run("docs", str(tmp_path / "mine.json")).output


def test_docs_never_replaces_a_file_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "book.md"
    path.write_text("mine", "utf-8")
    refused = run("docs", "ctdc-global", "-o", str(path))
    assert refused.exit_code == 1
    assert isinstance(refused.exception, ExistingCodebookError)
    assert path.read_text("utf-8") == "mine"
    assert run("docs", "ctdc-global", "-o", str(path), "--replace").exit_code == 0
    assert path.read_text("utf-8") != "mine"
    assert run("docs", "ctdc-global", "-o", str(tmp_path / "book.txt")).exit_code == 2
