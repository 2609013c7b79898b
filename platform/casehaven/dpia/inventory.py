"""The inventory: which attributes a dataset has, what each is used for, where it stays and what consent it needs. From schemas alone, never from records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from casehaven.vault.datasets import Dataset
from caseschemas import CaseSchema, Purpose, SchemaAttribute
from casesynth.canonical import JsonValue

STAYS: Final[Mapping[str, str]] = {
    "analysis": "sealed person by person, and as codes in sealed columns; counted only with consent, and only noisy numbers leave",
    "person": "sealed; kept as a keyed hash beside it; never counted, never shown outside the organisation",
    "consent": "kept with its versions, dates and language; decides what a person is counted for",
    "identifier": "sealed under the person's own key; never counted, never in a release, an answer or a log",
    "text": "sealed under the person's own key; never counted, grouped or searched, never outside the vault",
}
"""Role of an attribute: where it stays and what becomes of it."""

PURPOSES: Final[Mapping[Purpose, str]] = {
    "care": "care for the person",
    "own_statistics": "exact tables of the organisation's own people, for itself",
    "pooled_statistics": "private answers to questions, alone or with other organisations",
    "synthetic_release": "published releases: synthetic records, aggregates, showcase, report",
}


def inventory(datasets: Sequence[Dataset]) -> list[JsonValue]:
    """Return what is held, dataset by dataset.

    Args:
        datasets: of a vault; their rows are not opened.
    """
    return [
        {
            "dataset": dataset.id,
            "organisation": dataset.organisation,
            "schema": f"{dataset.schema.id} {dataset.schema.version}",
            "people_cap": dataset.people_cap,
            "attributes": [_attribute(dataset.schema, one) for one in dataset.schema.attributes],
            "consent": [
                {"purpose": purpose, "means": words, "column": dict(dataset.schema.consent).get(purpose)}
                for purpose, words in PURPOSES.items()
            ],
            "years_of_first_registration": None if dataset.schema.block is None else dataset.schema.block.attribute,
        }
        for dataset in datasets
    ]


def _attribute(schema: CaseSchema, one: SchemaAttribute) -> JsonValue:
    return {
        "name": one.name,
        "label": one.labels.text("en"),
        "role": one.role,
        "kind": one.kind,
        "values": len(one.values) or None,
        "stays": STAYS[one.role],
        "coarser_levels": [level.name for level in schema.hierarchies if level.attribute == one.name],
        "follows_from_others": one.derived is not None,
    }
