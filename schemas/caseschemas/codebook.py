"""A codebook: a schema written out for people to read, as Markdown or as one HTML page.

It says of every attribute what it means, which values it has, how records of one person become one, and whether anything of it leaves the vault; then
groups, coarser views, logic, mappings to other schemas, and the sources with the attribution that their licences ask for. Everything in it is public.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from caseschemas._codebook_words import KINDS, LEAVES, MERGES, ROLES, WORDS
from caseschemas.attribute import SchemaAttribute
from caseschemas.labels import Labels
from caseschemas.mapping import CaseMapping, ColumnMapping
from caseschemas.schema import CaseSchema


@dataclass(frozen=True, kw_only=True)
class Span:
    """A piece of text in one line."""

    text: str
    """What it says."""
    code: bool = False
    """Whether it is a code or a name of files, the same in every language."""
    link: str | None = None
    """Where it leads: `#` and the anchor of a heading, or an address."""
    language: str | None = None
    """Its language where that is not the codebook's, because a translation is missing."""


Line = tuple[Span, ...]
"""One line of text."""


@dataclass(frozen=True, kw_only=True)
class Heading:
    """A heading; level 1 is the title."""

    level: Literal[1, 2, 3]
    line: Line
    anchor: str


@dataclass(frozen=True, kw_only=True)
class Paragraph:
    """Lines of running text."""

    line: Line


@dataclass(frozen=True, kw_only=True)
class Bullets:
    """A list."""

    lines: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table with a caption and a head; the first column names the row."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Line, ...], ...]


Block = Heading | Paragraph | Bullets | Table


def codebook(schema: CaseSchema, *, language: str = "en", mappings: tuple[CaseMapping, ...] = ()) -> tuple[Block, ...]:
    """Write a schema out.

    Args:
        schema: What to write out.
        language: Language of labels and headings; where one lacks it, the default language stands in.
        mappings: Mappings from the schema to others that the codebook describes, too.

    >>> from caseschemas import load_schema
    >>> blocks = codebook(load_schema("ctdc-global"), language="fr")
    >>> blocks[0].line[0].text
    'Jeu de données synthétiques mondial CTDC, 27 colonnes'
    """
    return tuple(_Writer(schema, language).blocks(mappings))


def _text(text: str) -> Line:
    return (Span(text=text),)


def _code(text: str) -> Span:
    return Span(text=text, code=True)


def _codes(names: Iterator[str] | tuple[str, ...]) -> Line:
    spans: list[Span] = []
    for name in names:
        spans += [Span(text=", "), _code(name)] if spans else [_code(name)]
    return tuple(spans)


class _Writer:
    """One schema in one language."""

    def __init__(self, schema: CaseSchema, language: str) -> None:
        self._schema = schema
        self._language = language
        self._lists: dict[tuple[object, ...], str] = {}

    def _word(self, key: str) -> str:
        return self._said(WORDS[key])

    def _said(self, labels: Labels) -> str:
        return labels.text(self._language)

    def _prose(self, labels: Labels) -> Line:
        """A text that may lack a translation."""
        wanted = (self._language, self._language.split("-")[0])
        own = next((language for language, text in labels.items() if text == self._said(labels)), None)
        return (Span(text=self._said(labels), language=None if own in wanted else own),)

    def blocks(self, mappings: tuple[CaseMapping, ...]) -> Iterator[Block]:
        yield from self._head()
        yield Heading(level=2, line=_text(self._word("leaves")), anchor="leaves")
        yield self._leaves()
        yield Heading(level=2, line=_text(self._word("attributes")), anchor="attributes")
        yield self._overview()
        for attribute in self._schema.attributes:
            yield from self._attribute(attribute)
        yield from self._groups()
        yield from self._hierarchies()
        yield from self._logic()
        for mapping in mappings:
            yield from self._mapping(mapping)
        yield from self._sources()

    def _head(self) -> Iterator[Block]:
        schema = self._schema
        yield Heading(level=1, line=_text(self._said(schema.title)), anchor="top")
        if schema.description:
            yield Paragraph(line=self._prose(schema.description))
        reviewed = ", ".join(
            f"{entry.code} ({self._word('reviewed' if entry.reviewed else 'not reviewed')})"
            for entry in schema.languages
        )
        key: Line = (_code(schema.person_key),) if schema.person_key else _text(self._word("no person key"))
        block: Line = _text(self._word("none"))
        if schema.block is not None:
            block = (Span(text=self._word("year of first registration") + ", "), _code(schema.block.attribute))
        consent: list[Span] = []
        for purpose, name in schema.consent.items():
            consent += [Span(text=(", " if consent else "") + self._word(purpose) + " "), _code(name)]
        yield Bullets(
            lines=(
                (Span(text=f"{self._word('schema')}: "), _code(schema.id), Span(text=f", {self._word('version')} {schema.version}")),
                (Span(text=f"{self._word('digest')}: "), _code(schema.digest())),
                _text(f"{self._word('languages')}: {reviewed}"),
                (Span(text=f"{self._word('person key')}: "), *key),
                (Span(text=f"{self._word('blocks')}: "), *block),
                (Span(text=f"{self._word('consent')}: "), *(consent or _text(self._word("none")))),
            )
        )  # fmt: skip

    def _leaves(self) -> Table:
        rows = []
        for role, labels in LEAVES.items():
            names = tuple(attribute.name for attribute in self._schema.attributes if attribute.role == role)
            if names:
                rows.append((_text(self._said(ROLES[role])), _text(self._said(labels)), _codes(names)))
        head = (self._word("role"), self._word("leaves"), self._word("attributes"))
        return Table(caption=self._word("leaves"), head=head, rows=tuple(rows))

    def _overview(self) -> Table:
        rows = tuple(
            (
                (Span(text=attribute.name, code=True, link=f"#{_anchor(attribute)}"),),
                _text(self._said(attribute.labels)),
                _text(self._said(KINDS[attribute.kind])),
                _text(self._said(ROLES[attribute.role])),
                _text(str(len(attribute.values)) if attribute.values else ""),
            )
            for attribute in self._schema.attributes
        )
        head = tuple(self._word(key) for key in ("attribute", "label", "kind", "role", "values"))
        return Table(caption=self._word("attributes"), head=head, rows=rows)

    def _attribute(self, attribute: SchemaAttribute) -> Iterator[Block]:
        title = (_code(attribute.name), Span(text=f": {self._said(attribute.labels)}"))
        yield Heading(level=3, line=title, anchor=_anchor(attribute))
        if attribute.description:
            yield Paragraph(line=self._prose(attribute.description))
        lines: list[Line] = [
            _text(f"{self._word('kind')}: {self._said(KINDS[attribute.kind])}"),
            _text(f"{self._word('role')}: {self._said(ROLES[attribute.role])}. {self._said(LEAVES[attribute.role])}"),
        ]
        if attribute.merge is not None:
            merge = f"{self._word('merge')}: {self._said(MERGES[attribute.merge])} ("
            lines.append((Span(text=merge), _code(attribute.merge), Span(text=")")))
            outside = attribute.values[attribute.outside_position]
            lines.append(_text(f"{self._word('outside')}: {self._said(outside.labels)}"))
        if attribute.separators:
            lines.append((Span(text=f"{self._word('separators')}: "), *_codes(attribute.separators)))
        yield Bullets(lines=tuple(lines))
        if attribute.values:
            yield from self._values(attribute)

    def _values(self, attribute: SchemaAttribute) -> Iterator[Block]:
        key = (attribute.values,)
        first = self._lists.setdefault(key, attribute.name)
        if first != attribute.name and len(attribute.values) > 8:
            same = self._schema.attribute(first)
            link = Span(text=first, code=True, link=f"#{_anchor(same)}")
            yield Paragraph(line=(Span(text=f"{self._word('same list')} "), link, Span(text=".")))
            return
        rows = tuple(
            (
                (_code(value.code),) if value.code else _text(self._word("empty")),
                _text(self._said(value.labels)),
                _text(self._word(value.missing) if value.missing else ""),
                _text(", ".join(value.synonyms)),
            )
            for value in attribute.values
        )
        head = tuple(self._word(key) for key in ("code", "label", "missing", "synonyms"))
        yield Table(caption=f"{self._word('values')}: {attribute.name}", head=head, rows=rows)

    def _groups(self) -> Iterator[Block]:
        if not self._schema.groups:
            return
        yield Heading(level=2, line=_text(self._word("groups")), anchor="groups")
        rows = tuple(
            (_text(self._said(group.labels)), _codes(group.members), _text(self._word(group.answered)))
            for group in self._schema.groups
        )
        head = tuple(self._word(key) for key in ("group", "members", "answered"))
        yield Table(caption=self._word("groups"), head=head, rows=rows)

    def _hierarchies(self) -> Iterator[Block]:
        if not self._schema.hierarchies:
            return
        yield Heading(level=2, line=_text(self._word("hierarchies")), anchor="hierarchies")
        for hierarchy in self._schema.hierarchies:
            title = (Span(text=f"{self._said(hierarchy.labels)} ("), _code(hierarchy.attribute), Span(text=")"))
            yield Heading(level=3, line=title, anchor=f"hierarchy-{hierarchy.name}")
            rows = tuple(
                ((_code(parent.code),), _text(self._said(parent.labels)), _codes(parent.members)) for parent in hierarchy.parents
            )  # fmt: skip
            head = tuple(self._word(key) for key in ("code", "label", "members"))
            yield Table(caption=self._said(hierarchy.labels), head=head, rows=rows)

    def _logic(self) -> Iterator[Block]:
        if not self._schema.logic:
            return
        yield Heading(level=2, line=_text(self._word("logic")), anchor="logic")
        rows = tuple(
            (
                _text(self._said(rule.labels)),
                _codes(rule.attributes),
                (_code(rule.only_with.attribute), Span(text=" = "), *_codes(rule.only_with.codes)),
            )
            for rule in self._schema.logic
        )
        head = tuple(self._word(key) for key in ("rule", "attributes", "only where"))
        yield Table(caption=self._word("logic"), head=head, rows=rows)

    def _mapping(self, mapping: CaseMapping) -> Iterator[Block]:
        title = (Span(text=f"{self._word('mappings')} "), _code(mapping.target.id))
        yield Heading(level=2, line=title, anchor=f"mapping-{mapping.target.id}")
        if mapping.description:
            yield Paragraph(line=self._prose(mapping.description))
        if mapping.leave_out:
            yield Bullets(
                lines=tuple(
                    (_code(entry.attribute), Span(text=" = "), *_codes(entry.codes), Span(text=": "), *self._prose(entry.note))
                    for entry in mapping.leave_out
                )
            )  # fmt: skip
        coverage = {"full": "full", "part": "part", "missing": "missing coverage"}
        rows = tuple(
            (
                (_code(column.to),),
                _read(column),
                _text(self._word(coverage[column.coverage]) if column.coverage else ""),
                self._prose(column.note),
            )
            for column in mapping.columns
        )
        head = tuple(self._word(key) for key in ("attribute", "from", "coverage", "note"))
        yield Table(caption=self._said(mapping.title), head=head, rows=rows)

    def _sources(self) -> Iterator[Block]:
        if not self._schema.sources:
            return
        yield Heading(level=2, line=_text(self._word("sources")), anchor="sources")
        default = self._schema.languages[0].code  # titles and notices have no translations
        foreign = None if self._language.split("-")[0] == default.split("-")[0] else default
        lines: list[Line] = []
        for source in self._schema.sources:
            line = [Span(text=source.title, language=foreign)]
            if source.url:
                safe = source.url.startswith(("https://", "http://"))
                line += [Span(text=". "), Span(text=source.url, link=source.url if safe else None)]
            if source.licence:
                line += [Span(text=f". {self._word('licence')}: "), _code(source.licence)]
            if source.notice:
                line += [Span(text=". "), Span(text=source.notice, language=foreign)]
            lines.append(tuple(line))
        yield Bullets(lines=tuple(lines))


def _read(column: ColumnMapping) -> Line:
    """What a column is filled from."""
    if column.source is None:
        return _text("")
    line: tuple[Span, ...] = (_code(column.source),)
    if column.codes:
        line = (*line, Span(text=": "), *_codes(column.codes))
    for becomes in dict.fromkeys(column.recode.values()):
        taken = tuple(code for code, found in column.recode.items() if found == becomes)
        line = (*line, Span(text="; "), *_codes(taken), Span(text=" → "), _code(becomes))
    if column.born and column.at:
        line = (*line, Span(text=", "), _code(column.born), Span(text=", "), _code(column.at))
    return line


def _anchor(attribute: SchemaAttribute) -> str:
    return f"attribute-{attribute.name}"


def markdown(blocks: tuple[Block, ...]) -> str:
    """Return a codebook as Markdown."""
    parts = []
    for block in blocks:
        if isinstance(block, Heading):
            parts.append(f'<a id="{block.anchor}"></a>\n\n{"#" * block.level} {_line(block.line)}')
        elif isinstance(block, Paragraph):
            parts.append(_line(block.line))
        elif isinstance(block, Bullets):
            parts.append("\n".join(f"- {_line(line)}" for line in block.lines))
        else:
            rows = [f"| {' | '.join(_escaped(name) for name in block.head)} |", f"|{'---|' * len(block.head)}"]
            rows += [f"| {' | '.join(_line(cell) for cell in row)} |" for row in block.rows]
            parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _line(line: Line) -> str:
    return "".join(_span(span) for span in line)


def _span(span: Span) -> str:
    text = _fenced(span.text) if span.code else _escaped(span.text)
    return f"[{text}]({span.link})" if span.link else text


def _escaped(text: str) -> str:
    return "".join(f"\\{letter}" if letter in r"\`*_[]<>|#" else letter for letter in text)


def _fenced(text: str) -> str:
    r"""Return a code span; in a table a pipe is escaped even there.

    >>> _fenced("a|b"), _fenced("`")
    ('`a\\|b`', '`` ` ``')
    """
    text = text.replace("|", "\\|")
    return f"`` {text} ``" if "`" in text else f"`{text}`"
