"""The datasheet of a release: a text for policymakers, in short sentences, in Markdown.

1. Text from outside (titles, names, notes) is escaped: it cannot become a heading, a link or HTML.
2. It states the same numbers and caveats as the report; both take them from the same functions.
3. The commands at its end work as they stand: anyone can recompute the release.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from caseschemas import CaseSchema
from casesynth.apart import apart_said
from casesynth.domain import Attribute, Domain
from casesynth.near import near_pairs
from casesynth.notes import ReleaseNotes
from casesynth.plan import ReleasePlan
from casesynth.report.caveats import Caveat, counted_people, privacy_caveats, reading_caveats
from casesynth.report.files import BUNDLE_FILES
from casesynth.report.guarantee import Guarantee, software
from casesynth.report.labels import ReportLabels
from casesynth.report.licence import licence_of
from casesynth.report.markup import visible
from casesynth.report.method import method_steps
from casesynth.report.precision import LENGTH_NAMES, half_widths, stated_sizes
from casesynth.report.private_decision import datasheet_notice
from casesynth.report.sentence import summary
from casesynth.report.words import NAME_MOST, counted, cut, people_of, tenths, whole
from casesynth.synthesis import Synthesis

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~!&$])")
_BLANKS = re.compile(r"\s+")
_SIZES = (10, 100, 1_000, 10_000, 100_000)
_LISTED_MOST = 10
"""Most values of one attribute that are written out."""


def datasheet_md(synthesis: Synthesis, notes: ReleaseNotes, schema: CaseSchema | None = None) -> str:
    """Return the datasheet of a release as Markdown.

    Args:
        synthesis: the release; all of it protected.
        notes: what people wrote about it; public.
        schema: labels of attributes and values; without it, codes are shown.
    """
    guarantee = Guarantee.of(synthesis.plan, notes)
    parts = [
        f"# {plain(notes.title)}",
        *((datasheet_notice(),) if notes.decision_used_private_data else ()),
        f"Datasheet of the release of {plain(notes.created)}.",
        *(plain(line) for line in summary(synthesis, notes)),
        "## What it is",
        *_what(synthesis, notes),
        "## How it was made",
        _numbered([plain(step) for step in method_steps(synthesis, notes)]),
        f"Software: {plain(software())}.",
        "## What the guarantee means",
        guarantee.promise,
        guarantee.promise_per_person,
        *guarantee.whose,
        (
            "In other words: whether or not a person's story is in the records, this release would look much the "
            "same. The factor says how nearly the same, in the worst case. The smaller it is, the less anybody can "
            "learn about one person."
        ),
        "## What the guarantee does not mean",
        _caveats(privacy_caveats(guarantee, notes)),
        "## The guarantee in numbers",
        _table(("Quantity", "Value"), [(name, shown) for name, _, shown in guarantee.rows()]),
        (
            "Epsilon bounds by what factor one person's records can change the chance of any result: the factor is e "
            "to the power epsilon. Delta is the small chance that is added to it. Rho is the same promise in the "
            "unit in which losses of privacy are added up (zero-concentrated differential privacy). The noise scale "
            "is about the standard deviation of the noise in one count."
        ),
        "## How far numbers may be off",
        *_error(synthesis),
        "## The files",
        _table(("File", "What it is", "How to use it"), [(file.name, file.title, file.use) for file in BUNDLE_FILES]),
        "## The attributes",
        _attributes(synthesis.plan.domain, ReportLabels(schema=schema)),
        (
            f"{'' if schema is None else 'What stands in the files is given in brackets where it is another word. '}"
            "The complete value lists stand in `datapackage.json`. An empty cell means that nothing was recorded."
        ),
        "## Before you use the numbers",
        _caveats(
            reading_caveats(
                near_pairs(synthesis.model, synthesis.plan.domain),
                apart_said(synthesis.errors.apart, synthesis.plan.domain),
            )
        ),
        "## Licence and terms",
        *_terms(notes),
        "## How to check that it is genuine",
        (
            "`casehaven verify DIR`, with the folder of these files for `DIR`, needs no network. It says who signed "
            "the release and whether any file was changed. If it does not know the signer, it shows a fingerprint. "
            "Compare it with the publisher over another channel, such as the telephone."
        ),
        "## How to recompute everything",
        (
            "The measurements are the only numbers that were made from real records. Everything else follows from "
            "them. With the same software version, this makes the model, the synthetic records and the aggregates "
            "again; on another kind of machine the last digits may differ:"
        ),
        "```python\n" + recompute_code(synthesis.plan) + "```",
        "It reveals nothing further about anybody.",
    ]
    return "\n\n".join(parts) + "\n"


def plain(text: str) -> str:
    """Escape text for Markdown, on one line.

    >>> plain("a <b>\\n# c_d")
    'a \\\\<b\\\\> \\\\# c\\\\_d'
    """
    return _SPECIAL.sub(r"\\\1", _BLANKS.sub(" ", visible(text).replace("\u00a0", " ")).strip())


def recompute_code(plan: ReleasePlan) -> str:
    """Return a program that recomputes the release in the folder of its files."""
    imports = ["from casesynth.domain import Domain"]
    if plan.domain.source == "declared":
        if any(attribute.multi for attribute in plan.domain.attributes):
            imports = ["from casesynth.domain import Domain, Multi"]
        if any(attribute.derived is not None for attribute in plan.domain.attributes):
            imports[0] = imports[0].replace("import Domain", "import Domain, Function")
        domain = _declared(plan.domain)
    else:
        imports.insert(0, "from caseschemas import load_schema")
        schema, _, version = plan.domain.source.rpartition(" ")
        domain = (
            f"domain = Domain.from_schema(load_schema({schema!a}))  "
            f"# version {version!a}; or the path of the schema's file\n"
        )
    return "\n".join(
        [
            "from pathlib import Path",
            "",
            *imports,
            "from casesynth.plan import ReleasePlan",
            "from casesynth.privacy import Receipt",
            "from casesynth.synthesis import recompute",
            "from casesynth.tables import read_measurements",
            "",
            domain
            + f"plan = ReleasePlan.make(domain, epsilon={plan.epsilon!r}, delta={plan.delta!r}, people_cap={plan.people_cap}, "
            f"max_tokens_per_person={plan.max_tokens_per_person}{_named(plan)})",
            'measurements = read_measurements(Path("measurements.parquet"), domain)',
            'synthesis = recompute(plan, Receipt(charge_id="recomputed", loss=plan.loss), measurements)',
            "",
        ]
    )


def _declared(domain: Domain) -> str:
    lines = []
    for attribute in domain.attributes:
        if attribute.derived is not None:
            lines.append(f"    {attribute.name!a}: {_function(attribute, domain)},\n")
            continue
        values = "[" + ", ".join(ascii(value) for value in attribute.values if value) + "]"
        lines.append(f"    {attribute.name!a}: {f'Multi(values={values})' if attribute.multi else values},\n")
    return "domain = Domain.declare({\n" + "".join(lines) + "})\n"


def _function(attribute: Attribute, domain: Domain) -> str:
    assert attribute.derived is not None  # the caller saw it
    source = domain.attribute(attribute.derived.source)
    pairs = [
        f"{value!a}: {attribute.values[place]!a}"
        for value, place in zip(source.values, attribute.derived.places, strict=True)
        if value
    ]
    return f"Function(of={source.name!a}, table={{{', '.join(pairs)}}})"


def _named(plan: ReleasePlan) -> str:
    if not plan.named:
        return ""
    tables = ", ".join("(" + "".join(f"{name!a}, " for name in table) + ")" for table in plan.named)
    return f", tables=[{tables}], table_share={plan.table_share!r}"


def _what(synthesis: Synthesis, notes: ReleaseNotes) -> tuple[str, ...]:
    people, combinations = people_of(synthesis.model), synthesis.aggregates.known
    aggregates = (
        f"{counted(combinations, 'combination')} of up to three values, each with an estimate of how many people have "
        "it and an interval."
        if combinations
        else "no combination of values can be shown; the noise drowns them."
    )
    return (
        (
            "Organisations that help victims of human trafficking keep records of their cases. This release "
            f"describes the records of about {people} people (95 % interval {people.interval}), with a firm limit on "
            "what anybody can learn about one of them. It holds two things."
        ),
        (
            f"- *Aggregates*: {aggregates}\n- *Synthetic records*: "
            f"{counted(len(synthesis.records[0]), 'invented record')} that follow {'the same patterns' if combinations else 'little but noise'}."
        ),
        (
            f"{counted(len(synthesis.plan.domain.attributes), 'attribute')} of each person were used. They are listed "
            "below. Nothing else of the records was used."
        ),
        plain(counted_people(notes)),
    )


def _attributes(domain: Domain, labels: ReportLabels) -> str:
    columns = ["Attribute", "In the files", "Known values", "Which they are"]
    rows = [
        [
            cut(labels.attribute(attribute.name), NAME_MOST),
            cut(attribute.name, NAME_MOST),
            whole(len(attribute.values) - len(attribute.missing)),
            _values(attribute, labels),
        ]
        for attribute in domain.attributes
    ]
    if labels.schema is None:
        columns, rows = [columns[0], *columns[2:]], [[row[0], *row[2:]] for row in rows]
    return _table(columns, rows)


def _values(attribute: Attribute, labels: ReportLabels) -> str:
    codes = [code for place, code in enumerate(attribute.values) if place not in attribute.missing]
    ends = len(codes) > _LISTED_MOST
    names = []
    for code in [codes[0], codes[-1]] if ends else codes:
        label = labels.value(attribute.name, code)
        names.append(cut(label, NAME_MOST) + ("" if label == code else f" ({cut(code, NAME_MOST)})"))
    return (" … " if ends else "; ").join(names)


def _error(synthesis: Synthesis) -> tuple[str, ...]:
    stated = stated_sizes(synthesis.model.people)
    sizes = [size for size in _SIZES if size in stated]
    by_length = half_widths(synthesis.errors, sizes)
    rows = [(whole(size), *(f"± {tenths(row[place])}" for row in by_length)) for place, size in enumerate(sizes)]
    return (
        "In 19 of 20 cases the number in the records lies within these distances of the estimate, in people.",
        _table(("Estimate", *(f"of {name}" for name in LENGTH_NAMES)), rows),
        "Every row of the aggregates carries its own interval. `report.html` shows more.",
    )


def _terms(notes: ReleaseNotes) -> tuple[str, ...]:
    licence = licence_of(notes.licence)
    link = f" Its text: <{licence.path}>." if licence.path else ""
    return (
        f"Licence: {plain(licence.title)} ({plain(notes.licence)}). {licence.meaning}{link}",
        "The people who publish also ask you:",
        (
            "- Do not try to find out who is behind a number, and do not help others to.\n"
            "- Do not present synthetic records as real people.\n"
            "- Give the interval with each number, and say that what is hidden is not zero.\n"
            "- If you think that somebody can be recognised, tell the publisher first."
        ),
        f"To cite: {plain(notes.title)}, release of {plain(notes.created)}, made with casehaven.",
    )


def _caveats(caveats: Sequence[Caveat]) -> str:
    return "\n".join(f"- **{plain(caveat.head)}** {plain(caveat.text)}" for caveat in caveats)


def _numbered(lines: Sequence[str]) -> str:
    return "\n".join(f"{place}. {line}" for place, line in enumerate(lines, start=1))


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *([plain(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
