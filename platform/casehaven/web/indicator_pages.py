"""The tables that official statistics ask for, as pages: SDG indicator 16.2.2 and the EU directive, for everybody.

1. What is shown is the document that was made when the release was published (`casehaven.registry.indicators`): nothing is worked out here.
2. One table, and of a table with three parts one part, is on a page: it stays light, and is read without a script. The picture shows what the table beside it has.
3. A long table is cut into pages of `ROWS` lines.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Query, Response

from casehaven.organisations.errors import NotFoundError
from casehaven.registry.errors import ReleaseWithdrawnError
from casehaven.registry.indicators import INDICATORS
from casehaven.web.backend import place
from casehaven.web.charts import Bar
from casehaven.web.desk import Anybody, Desk
from casehaven.web.registry_pages import record_of
from casehaven.web.release_numbers import fact_names_of, names_of
from casehaven.web.router import PageRouter

router = PageRouter()

ROWS: Final = 60
"""Lines of a table on one page."""
BARS: Final = 12
KEPT: Final = 8
_GROUPS: Final = {"Child (under 18)": "indicators.child", "Adult (18 and over)": "indicators.adult"}
"""Labels of the groups of the shipped roles, and the words for them."""
_TITLES: Final = {"Age group": "indicators.age_group", "Form of exploitation": "indicators.form"}
_KEPT: Final[OrderedDict[str, dict[str, Any]]] = OrderedDict()

Number = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One part of one table, as it is read."""

    title: str
    down: str
    """What its lines are."""
    across: tuple[str, ...]
    """Heads of its columns."""
    rows: tuple[tuple[str, tuple[Number | None, ...]], ...]
    """Label, and its numbers; None for a hidden one."""
    bars: tuple[Bar, ...]
    parts: tuple[str, ...]
    """What can be chosen in the place of this part; empty where the table is one."""
    part_title: str
    left_out: int


@router.get("/registry/{record}/indicators")
async def indicators(
    desk: Anybody,
    record: str,
    table: Annotated[int, Query(ge=0, le=20)] = 0,
    part: Annotated[int, Query(ge=0, le=500)] = 0,
    after: Annotated[int, Query(ge=0, le=5_000)] = 0,
) -> Response:
    """One of the tables."""
    found = await record_of(desk, record)
    if found["withdrawal"]:
        raise ReleaseWithdrawnError
    document = await _document(desk, found)
    if document is None or not document["tables"]:
        return desk.page("registry/no_indicators.html", record=found)
    if table >= len(document["tables"]):
        raise NotFoundError
    labels = _Labels(desk, str(found["schema"]))
    shown = read_part(document["tables"][table], part, labels)
    here = place("/registry/{}/indicators", str(found["id"]))
    return desk.page(
        "registry/indicators.html",
        record=found,
        tables=[(labels.title(each), each["answers"]) for each in document["tables"]],
        chosen=table,
        part=part,
        shown=shown,
        rows=shown.rows[after : after + ROWS],
        before=max(0, after - ROWS) if after else None,
        following=after + ROWS if after + ROWS < len(shown.rows) else None,
        here=here,
        files={each["format"]: each for each in found["indicators"]},
        notes=document["notes"],
        statuses=any(each["name"] == "Status" for each in document["tables"]),
    )


class _Labels:
    """What dimensions and lines are called in the reader's language."""

    def __init__(self, desk: Desk, schema: str) -> None:
        self.words, self.english = desk.words, desk.words.language.code == "en"
        self.named = names_of(schema, desk.words.language.code)
        self.fact = fact_names_of(schema, desk.words.language.code)

    def title(self, table: Mapping[str, Any]) -> str:
        """Return what a table is called."""
        if self.english:
            return str(table["title"])
        return self.words.text("indicators.by", by="، ".join(self.dimension(each) for each in table["dimensions"]))

    def dimension(self, dimension: Mapping[str, Any]) -> str:
        """Return what a dimension is called."""
        title = str(dimension["title"])
        if self.english:
            return title
        if title in _TITLES:
            return self.words.text(_TITLES[title])
        return self.named(str(dimension["attribute"]), None) if dimension["attribute"] else title

    def line(self, dimension: Mapping[str, Any], line: Mapping[str, Any]) -> str:
        """Return what a line is called."""
        kind, label = line["kind"], str(line["label"])
        if self.english or kind == "group" and label not in _GROUPS:
            return label
        if kind == "group":
            return self.words.text(_GROUPS[label])
        if kind != "value":
            return self.words.text("indicators.all" if kind == "all" else "indicators.not_known")
        if dimension["attribute"] is None:  # each line is an attribute of its own
            return self.fact(str(line["attribute"]), str(line["value"]), label)
        return self.named(str(line["attribute"]), str(line["value"]))


def read_part(table: Mapping[str, Any], part: int, labels: _Labels) -> Shown:
    """Return one part of a table.

    Args:
        table: of the document; its cells are in the order of the lines, those of the last dimension fastest.
        part: position of a line of the third dimension.
        labels: of the reader.

    Raises:
        NotFoundError: there is no such part.
    """
    dimensions: Sequence[Mapping[str, Any]] = table["dimensions"]
    names = [[labels.line(each, line) for line in each["lines"]] for each in dimensions]
    sizes = [*map(len, names), 1, 1][:3]
    if part >= sizes[2]:
        raise NotFoundError
    across = names[1] if len(names) > 1 else []
    cells: Sequence[Number | None] = table["cells"]
    rows = tuple(
        (label, tuple(cells[(line * sizes[1] + column) * sizes[2] + part] for column in range(sizes[1])))
        for line, label in enumerate(names[0])
    )
    lines = dimensions[0]["lines"]
    drawn = [
        (line["kind"] == "not-known", label, found[0])
        for (label, found), line in zip(rows, lines, strict=True)
        if line["kind"] != "all" and found[0]
    ]
    drawn.sort(key=lambda each: (each[0], -each[2]["estimate"]))
    return Shown(
        title=labels.title(table),
        down=labels.dimension(dimensions[0]),
        across=tuple(across),
        rows=rows,
        bars=tuple(
            Bar(label=label, value=found["estimate"], low=found["low"], high=found["high"])
            for _, label, found in drawn[:BARS]
        ),
        parts=tuple(names[2]) if len(names) > 2 else (),
        part_title=labels.dimension(dimensions[2]) if len(names) > 2 else "",
        left_out=int(table["left_out"]),
    )


async def _document(desk: Desk, record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the tables of a release; None where it has none."""
    name = f"{INDICATORS}.json"
    listed = next((each for each in record.get("indicators") or () if each["name"] == name), None)
    if listed is None:
        return None
    digest = str(listed["sha256"])
    found = _KEPT.get(digest)
    if found is None:
        answer = await desk.ask("GET", "/v1/registry/{}/indicators.json", str(record["id"]))
        content = answer.checked().content
        if hashlib.sha256(content).hexdigest() != digest:
            return None
        found = json.loads(content)
        _KEPT[digest] = found
        while len(_KEPT) > KEPT:
            _KEPT.popitem(last=False)
    return found
