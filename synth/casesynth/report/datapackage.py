"""The data package of a release: its files and columns for programs, as a Frictionless Data Package, version 2.

1. Columns are described from the public value lists. What a CSV cell can hold is listed as it is written there, with
   the guard against spreadsheet formulas.
2. An empty cell is a missing value. Where a schema tells several kinds of missing apart, the others stay values of
   their own.
3. Addresses in it are identifiers; nothing needs to be fetched.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from casesynth.aggregates import LENGTH
from casesynth.domain import Attribute, Domain
from casesynth.manifest import FileEntry
from casesynth.notes import ReleaseNotes
from casesynth.report.files import described
from casesynth.report.guarantee import MECHANISM, Guarantee, software
from casesynth.report.licence import licence_of
from casesynth.report.markup import visible
from casesynth.report.private_decision import SENTENCE
from casesynth.report.words import people_of
from casesynth.synthesis import Synthesis
from casesynth.tables import safe_cell

PROFILE = "https://datapackage.org/profiles/2.0/datapackage.json"
_RESOURCE_PROFILE = "https://datapackage.org/profiles/2.0/dataresource.json"
_SCHEMA_PROFILE = "https://datapackage.org/profiles/2.0/tableschema.json"
NAME = "datapackage.json"

Json = dict[str, object]


def datapackage_json(synthesis: Synthesis, notes: ReleaseNotes, files: Sequence[FileEntry]) -> str:
    """Return the descriptor of the package as JSON.

    Args:
        synthesis: the release; all of it protected.
        notes: what people wrote about it; public.
        files: the files of the bundle that are written already; the package itself is left out.
    """
    guarantee, people = Guarantee.of(synthesis.plan, notes), people_of(synthesis.model)
    licence = licence_of(notes.licence)
    package: Json = {
        "$schema": PROFILE,
        "name": "casehaven-release",
        "title": visible(notes.title),
        "description": (
            f"Protected case statistics of about {people} people (95 % interval {people.interval}): synthetic records "
            "and aggregates with intervals. Every number is an estimate under differential privacy. Hidden does not "
            "mean zero."
        )
        + (f" {SENTENCE}" if notes.decision_used_private_data else ""),
    }
    package["created"] = f"{notes.created}T00:00:00Z"
    package["licenses"] = [
        {"name": licence.name, "title": visible(licence.title)} | ({"path": licence.path} if licence.path else {})
    ]
    package["privacy"] = {
        "unit": guarantee.unit,
        "epsilon": guarantee.epsilon,
        "delta": guarantee.delta,
        "nano_rho": guarantee.nano_rho,
        "max_tokens_per_person": guarantee.tokens,
        "epsilon_per_person": guarantee.epsilon_person,
        "nano_rho_per_person": guarantee.nano_rho_person,
        "mechanism": MECHANISM,
        "scale_min": guarantee.scale_min,
        "scale_max": guarantee.scale_max,
    }
    package["software"] = software()
    package["resources"] = [_resource(file, synthesis.plan.domain) for file in files if file.name != NAME]
    return json.dumps(package, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def _resource(file: FileEntry, domain: Domain) -> Json:
    known = described(file.name)
    resource: Json = {
        "$schema": _RESOURCE_PROFILE,
        "name": file.name.lower(),
        "path": file.name,
        "title": known.title,
        "description": known.use,
        "format": file.name.rpartition(".")[2],
        "mediatype": known.mediatype,
        "bytes": file.size,
        "hash": f"sha256:{file.sha256}",
    }
    fields = {"synthetic.csv": _synthetic_fields, "aggregates.csv": _aggregate_fields}.get(file.name)
    if fields is not None:
        resource["type"] = "table"
        resource["encoding"] = "utf-8"
        resource["dialect"] = {"header": True, "delimiter": ",", "lineTerminator": "\r\n", "quoteChar": '"'}
        resource["schema"] = {"$schema": _SCHEMA_PROFILE, "fields": fields(domain), "missingValues": [""]}
    return resource


def _synthetic_fields(domain: Domain) -> list[Json]:
    return [_attribute_field(attribute) for attribute in domain.attributes]


def _attribute_field(attribute: Attribute) -> Json:
    listed = [visible(safe_cell(value)) for value in attribute.values if value != ""]
    field: Json = {"name": visible(safe_cell(attribute.name))}
    if attribute.multi:
        return field | {
            "type": "list",
            "delimiter": ";",
            "itemType": "string",
            "description": "Values that one person has, with ; between them; any of: " + "; ".join(listed),
        }
    field["type"] = "string"
    others = [attribute.values[place] for place in sorted(attribute.missing) if attribute.values[place] != ""]
    if others:
        field["description"] = "Also missing, or answered no: " + ", ".join(visible(value) for value in others)
    if listed:
        field["constraints"] = {"required": "" not in attribute.values, "enum": listed}
        field["categories"] = listed
    return field


def _aggregate_fields(domain: Domain) -> list[Json]:
    names = [visible(safe_cell(attribute.name)) for attribute in domain.attributes]
    fields: list[Json] = [
        {
            "name": "length",
            "type": "integer",
            "description": "How many values are combined",
            "constraints": {"required": True, "minimum": 1, "maximum": LENGTH},
        }
    ]
    for place in range(1, LENGTH + 1):
        fields += [
            {
                "name": f"attribute_{place}",
                "type": "string",
                "description": f"Attribute of value {place}; empty in a shorter combination",
                "constraints": {"required": place == 1, "enum": names},
                "categories": names,
            },
            {
                "name": f"value_{place}",
                "type": "string",
                "description": (
                    f"Value {place}, a code from the attribute's list; empty in a shorter combination, or where it "
                    "means missing"
                ),
            },
        ]
    fields.append(
        {
            "name": "missing",
            "type": "boolean",
            "description": "Whether the row counts people whose value of the attribute is missing",
            "trueValues": ["True"],
            "falseValues": ["False"],
            "constraints": {"required": True},
        }
    )
    for name, words in (
        ("estimate", "Estimated number of people"),
        ("low", "Lower end of its 95 % interval"),
        ("high", "Upper end of its 95 % interval"),
    ):
        fields.append(
            {"name": name, "type": "number", "description": words, "constraints": {"required": True, "minimum": 0}}
        )
    return fields
