"""What the page knows: public facts, labels and the model, as one JSON document.

Nothing here is more than the bundle's own files say: the model of `model.parquet` in 16 bits, the intervals of the aggregates, the schema's labels.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from caseschemas import CaseSchema
from casesynth.aggregates import LOWEST_END, MINIMUM
from casesynth.domain import Domain
from casesynth.intervals import NORMAL, ErrorScale
from casesynth.notes import ReleaseNotes
from casesynth.report.guarantee import Guarantee
from casesynth.report.words import ceiling, people_of
from casesynth.showcase._assets import asset_json
from casesynth.showcase.bases import spreads
from casesynth.showcase.dimensions import Dimension, Views, kinds_of
from casesynth.showcase.quantised import CODES, FLOOR, STEP, Closeness, QuantisedModel
from casesynth.showcase.translations import LANGUAGES, Translation
from casesynth.synthesis import Synthesis

Labels = dict[str, str]
"""Text per language of the pages."""


def page_data(
    synthesis: Synthesis,
    notes: ReleaseNotes,
    schema: CaseSchema | None,
    *,
    views: Views,
    languages: Sequence[Translation],
    quantised: QuantisedModel,
    close: Closeness,
) -> dict[str, Any]:
    """Return everything that the page's script reads."""
    domain = synthesis.plan.domain
    lists, attributes = attributes_of(domain, schema)
    return {
        "format": "casesynth-showcase/1",
        "release": release_facts(synthesis, notes),
        "languages": [
            {"code": t.code, "name": t.name, "direction": t.direction, "reviewed": t.reviewed, "words": dict(t.words)}
            for t in languages
        ],
        "lists": lists,
        "attributes": attributes,
        "columns": [
            {
                "attribute": next(i for i, a in enumerate(domain.attributes) if a.name == column.attribute),
                "size": column.size,
                "missing": sorted(column.missing),
                "value": None
                if column.value is None
                else domain.attribute(column.attribute).values.index(column.value),
            }
            for column in domain.columns
        ],
        "dimensions": [
            _dimension(dimension, schema, spread)
            for dimension, spread in zip(views.dimensions, spreads(synthesis, views.dimensions), strict=True)
        ],
        "views": {
            "panels": list(views.panels),
            "trend": views.trend,
            "countries": list(views.countries),
            "flow": views.flow,
            "matrix": views.matrix,
        },
        "model": {
            "people": quantised.people,
            "classes": len(quantised.weights),
            "weights": quantised.weights_text(),
            "codes": quantised.codes_text(),
            "links": quantised.links_facts(),
            "floor": FLOOR,
            "step": STEP,
            "largest": CODES,
        },
        "scale": scale_facts(synthesis.errors),
        "close": {"people": close.people, "relative": close.relative, "combinations": close.combinations},
        "map": asset_json("map.json") if views.countries else None,
    }


def release_facts(synthesis: Synthesis, notes: ReleaseNotes) -> dict[str, Any]:
    """Return what the header says: number of people with its interval, guarantee, terms."""
    people = people_of(synthesis.model)
    guarantee = Guarantee.of(synthesis.plan, notes)
    return {
        "title": notes.title,
        "created": notes.created,
        "organisations": notes.organisations,
        "licence": notes.licence,
        "unit": "record" if notes.unit == "record" else "person",
        "consent": notes.consent_applied,
        "privateDecision": notes.decision_used_private_data,
        "people": {"estimate": people.value, "low": people.low, "high": people.high},
        "odds": guarantee.odds,
        "epsilon": guarantee.epsilon,
        "oneIn": round(1 / guarantee.delta),
        "tokens": guarantee.tokens,
        "oddsPerson": guarantee.odds_person,
        "epsilonPerson": ceiling(guarantee.epsilon_person),
        "group": guarantee.group_epsilon(40),
    }


def scale_facts(errors: ErrorScale) -> dict[str, Any]:
    """Return how the script finds an interval, and the rule by which it hides."""
    return {
        "centres": errors.centres.tolist(),
        "logWidths": np.log(errors.half_widths).tolist(),
        "misfit": errors.misfit.tolist(),
        **({"apart": [[*pair.columns, pair.misfit] for pair in errors.apart]} if errors.apart else {}),
        **(
            {"named": [[list(each.columns), each.half_widths.ravel().tolist()] for each in errors.sharper]}
            if errors.sharper
            else {}
        ),
        "normal": NORMAL,
        "minimum": MINIMUM,
        "lowestEnd": LOWEST_END,
    }


def attributes_of(domain: Domain, schema: CaseSchema | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the distinct value lists with their labels, and the attributes that point to them."""
    kinds = kinds_of(domain, schema)
    lists: list[dict[str, Any]] = []
    places: dict[str, int] = {}
    attributes = []
    for attribute in domain.attributes:
        known = schema.attribute(attribute.name) if schema is not None else None
        labels: list[Labels | None]
        if known is not None:
            labels = [_labels(value.labels) for value in known.values]
        else:
            labels = [None if place in attribute.missing else {} for place in range(len(attribute.values))]
        entry = {
            "codes": list(attribute.values),
            "missing": sorted(attribute.missing),
            "labels": {
                language: [
                    None if label is None else label.get(language, code)
                    for label, code in zip(labels, attribute.values, strict=True)
                ]
                for language in LANGUAGES
            },
        }
        key = json.dumps(entry, sort_keys=True)
        if key not in places:
            places[key] = len(lists)
            lists.append(entry)
        attributes.append(
            {
                "name": attribute.name,
                "kind": kinds[attribute.name],
                "multi": attribute.multi,
                "list": places[key],
                "labels": {language: attribute.name for language in LANGUAGES}
                if known is None
                else _labels(known.labels),
            }
        )
    return lists, attributes


def _labels(labels: Mapping[str, str]) -> Labels:
    first = next(iter(labels.values()), "")
    return {language: labels.get(language) or labels.get("en") or first for language in LANGUAGES}


def _dimension(dimension: Dimension, schema: CaseSchema | None, spread: float) -> dict[str, Any]:
    group = next((g for g in schema.groups if g.name == dimension.group), None) if schema is not None else None
    return {
        "attribute": dimension.attribute,
        "group": dimension.group,
        "labels": None if group is None else _labels(group.labels),
        "kind": dimension.kind,
        "facts": [list(fact) for fact in dimension.facts],
        "answered": None
        if dimension.answered is None
        else {
            "every": dimension.answered.every,
            "sets": [list(part) for part in dimension.answered.sets],
            "spread": spread,
        },
    }
