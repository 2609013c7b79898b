"""What a reader may ask about: datasets that were granted to them, agreements that are open to them, and what of either can be asked.

1. Everything here is a public fact: a schema's lists, and the terms of an agreement without its contributors.
2. An attribute that an agreement allows at a coarser level alone is shown at that level alone. The route decides; this is what is shown.
3. An agreement names its schema by digest. Its lists are those of a dataset in reach that has the same schema, or of a shipped one.
4. A published release of a shipped schema can be asked, too, at no charge: numbers and percentages, and what it answers (`casehaven.releases.questions`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from casehaven.blocks import schema_blocks
from casehaven.core.problems import ProblemError
from casehaven.web.backend import place
from casehaven.web.desk import Desk
from casehaven.web.release_numbers import schema_named
from caseschemas import CaseSchema, SchemaAttribute, parse_schema, shipped_schema, shipped_schema_ids

AGREEMENT: Final = "agreement:"
RELEASE: Final = "release:"
RELEASES: Final = 50
"""Published releases that are offered, the newest."""
BLANK: Final = "~"
"""How a form writes the empty code, and the empty year: what is left empty in a form is not chosen."""
_ORDERED: Final = frozenset({"number", "date"})


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One thing that can be asked about."""

    value: str
    """`organisation/dataset`, `agreement:ID`, or `release:NAME`."""
    label: str
    people_cap: int
    pooled: bool
    release: bool = False
    """Whether it is published: it costs nothing."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One value of an attribute, or one group of values."""

    value: str
    """As a form writes it."""
    label: str
    codes: tuple[str, ...]
    missing: bool
    """Whether it says that nothing is known."""


@dataclass(frozen=True, kw_only=True)
class View:
    """An attribute as it can be asked: value by value, or at a coarser level."""

    name: str
    """As the grammar names it."""
    attribute: str
    label: str
    parts: tuple[Part, ...]
    overlapping: bool
    """Whether a person may be in several parts."""
    kind: str
    coarse: bool
    """Whether it is a level."""

    @property
    def known(self) -> tuple[Part, ...]:
        """What a condition can name."""
        return tuple(part for part in self.parts if not (part.missing and self.overlapping))


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a question is about."""

    choice: Choice
    schema: CaseSchema
    views: tuple[View, ...]
    years: tuple[str, ...]
    """Years of first registration that can be named; empty where an agreement does not allow it."""
    terms: Mapping[str, Any] | None
    """Of the agreement."""

    @property
    def target(self) -> dict[str, Any]:
        """How the routes name it."""
        value = self.choice.value
        if self.choice.release:
            return {"release": value.removeprefix(RELEASE)}
        return {"agreement": value.removeprefix(AGREEMENT)} if self.choice.pooled else {"datasets": [value]}

    def view(self, name: str) -> View | None:
        """Return the view of this name; None where there is none."""
        return next((view for view in self.views if view.name == name), None)

    @property
    def numbers(self) -> tuple[View, ...]:
        """What a median or a mean can be of."""
        if self.choice.release:  # rule 4
            return ()
        return tuple(view for view in self.views if view.kind in _ORDERED and not view.coarse)

    def band_ends(self, name: str) -> tuple[str, int] | None:
        """Return the code and the lowest number of a value without a highest one; None where every value has both."""
        attribute = self.schema.attribute(name)
        known = attribute.values[attribute.first_known :]
        for value, band in zip(known, attribute.bands, strict=False):
            if band.high is None:
                return value.code, band.low or 0
        return None


async def choices(desk: Desk) -> list[Choice]:
    """Return what the reader may ask about: datasets by name, then agreements by title."""
    found = [
        Choice(value=name, label=name, people_cap=int(one["people_cap"]), pooled=False)
        for one in (await desk.get("/v1/datasets"))["items"]
        if (name := f"{one['organisation']}/{one['name']}") in desk.datasets
        or (one["organisation"] == desk.organisation and "steward" in desk.roles)
    ]
    agreed = [
        Choice(
            value=f"{AGREEMENT}{one['agreement']}",
            label=str(one["title"]),
            people_cap=int(one["people_cap"]),
            pooled=True,
        )
        for one in (await desk.get("/v1/agreements/open"))["items"]
        if "pooled_statistics" in one["purposes"]
    ]
    return sorted(found, key=lambda one: one.label) + sorted(agreed, key=lambda one: one.label)


async def releases_to_ask(desk: Desk) -> list[Choice]:
    """Return the published releases that can be asked, the newest first (rule 4)."""
    found = await desk.get("/v1/registry", limit=RELEASES)
    return [
        Choice(
            value=f"{RELEASE}{one['id']}",
            label=f"{one['title']} · {one['id']}",
            people_cap=0,
            pooled=False,
            release=True,
        )
        for one in found["items"]
        if not one["withdrawal"] and schema_named(str(one["schema"])) is not None
    ]


async def source_of(desk: Desk, choice: Choice) -> Source | None:
    """Return what can be asked of a choice; None where its schema is not known here."""
    if choice.release:
        return await _source_of_release(desk, choice)
    terms: Mapping[str, Any] | None = None
    if choice.pooled:
        every = (await desk.get("/v1/agreements/open"))["items"]
        terms = next(one for one in every if f"{AGREEMENT}{one['agreement']}" == choice.value)
        schema = await schema_by_digest(desk, str(terms["schema_sha256"]))
    else:
        schema = await schema_of(desk, choice.value)
    if schema is None:
        return None
    fields = None if terms is None else terms["fields"]
    views = tuple(view for view in _views(schema, desk.words.language.code) if _agreed(view, fields))
    by_year = schema.block is not None and (fields is None or fields.get(schema.block.attribute) == ["as_is"])
    return Source(
        choice=choice, schema=schema, views=views, years=schema_blocks(schema) if by_year else (), terms=terms
    )


async def _source_of_release(desk: Desk, choice: Choice) -> Source | None:
    record = await desk.get("/v1/registry/{}", choice.value.removeprefix(RELEASE))
    schema = schema_named(str(record["schema"]))
    if schema is None:
        return None
    # of several values of one person a release answers for one at a time, not for a group of them
    views = tuple(
        view
        for view in _views(schema, desk.words.language.code)
        if view.attribute in record["attributes"] and not (view.coarse and view.overlapping)
    )
    return Source(choice=choice, schema=schema, views=views, years=(), terms=None)


async def schema_of(desk: Desk, dataset: str) -> CaseSchema | None:
    """Return the schema of a dataset, `organisation/name`; None where it is out of reach."""
    answer = await desk.backend.call("GET", place("/v1/datasets/{}/{}/schema", *dataset.split("/", 1)))
    if answer.status == 404:
        return None
    if answer.problem is not None:
        raise ProblemError(answer.problem)
    return parse_schema(answer.body)


async def schema_by_digest(desk: Desk, digest: str) -> CaseSchema | None:
    """Return a shipped schema, or that of a dataset in reach (rule 3); None where neither has this digest."""
    for name in shipped_schema_ids():
        if shipped_schema(name).digest() == digest:
            return shipped_schema(name)
    for one in (await desk.get("/v1/datasets"))["items"]:
        if one.get("schema_sha256") == digest:
            return await schema_of(desk, f"{one['organisation']}/{one['name']}")
    return None


def _views(schema: CaseSchema, language: str) -> list[View]:
    """Return every attribute that is counted, each followed by its levels."""
    found = []
    for attribute in schema.analysis:
        found.append(
            View(
                name=attribute.name,
                attribute=attribute.name,
                label=attribute.labels.text(language) or attribute.name,
                parts=_values(attribute, language),
                overlapping=attribute.kind == "multi",
                kind=attribute.kind,
                coarse=False,
            )
        )
        found += [
            View(
                name=level.name,
                attribute=attribute.name,
                label=level.labels.text(language) or level.name,
                parts=tuple(
                    Part(value=one.code, label=one.labels.text(language) or one.code, codes=one.members, missing=False)
                    for one in level.parents
                ),
                overlapping=attribute.kind == "multi",
                kind=attribute.kind,
                coarse=True,
            )
            for level in schema.hierarchies
            if level.attribute == attribute.name
        ]
    return found


def _values(attribute: SchemaAttribute, language: str) -> tuple[Part, ...]:
    return tuple(
        Part(
            value=value.code or BLANK,
            label=value.labels.text(language) or value.code,
            codes=(value.code,),
            missing=not value.answered,
        )
        for value in attribute.values
    )


def _agreed(view: View, fields: Mapping[str, list[str]] | None) -> bool:
    if fields is None:
        return True
    levels = fields.get(view.attribute)
    return levels is not None and (levels == ["as_is"] or view.name in levels)
