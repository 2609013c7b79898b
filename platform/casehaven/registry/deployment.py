"""A record in the form of the public registries of differential privacy deployments: the parts `basic`, `dp_variant`, `privacy_loss`, `deployment_model`, `implementation` and `administrative` of an entry.

1. The form is that of the Differential Privacy Deployments Registry (OpenDP, proposed to be kept by NIST), as its stored entries had it in 2026. An entry there is proposed by people, not by this service: this is what they
   would send, with everything that is known here (tier 3), and nothing that is not.
2. Every number is a fact of the signed manifest. No contributor is named unless the record names a creator.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from casehaven.registry.datacite import UNNAMED
from casehaven.registry.record import guarantee_words, up


def deployment_entry(document: Mapping[str, Any], *, publisher: str, address: str) -> dict[str, Any]:
    """Return a record as an entry.

    Args:
        document: the record.
        publisher: who runs this registry.
        address: of the record.
    """
    guarantee, people = document["guarantee"], document["people"]
    tokens = guarantee["max_tokens_per_person"]
    several = (
        f" One person may stand behind {tokens} of them; for such a person epsilon is {up(guarantee['epsilon_per_person'])} at the same delta."
        if tokens > 1
        else ""
    )
    return {
        "url_slug": document["id"].lower().replace(".", "-"),
        "deployment": {
            "basic": {
                "name": document["title"],
                "data_curators": [
                    {"data_curator_name": document["creator"] or UNNAMED, "data_curator_type": "Nonprofit"}
                ],
                "description": f"Synthetic records and aggregate tables of human trafficking case records under the schema {document['schema']}. {guarantee_words(document)}",
                "intended_use": "Statistics, research and policy against human trafficking, without access to case records.",
                "data_product_type": "Synthetic data",
                "data_product_sector": "Nonprofit",
                "publication_date": document["published"][:10],
            },
            "dp_variant": {
                "variant_name": "Zero-concentrated DP",
                "data_domain": f"One profile for each {guarantee['unit']} over the attributes {', '.join(document['attributes'])}, each with a value list fixed before any record was seen.",
                "unprotected_quantities": f"The value lists, the cap of {document['people_cap']} people, the plan of the measurements, and the number of contributing organisations ({document['organisations']}). The number of people is noisy: {people['estimate']}, 95 % interval {people['low']} to {people['high']}.",
            },
            "privacy_loss": {
                "privacy_unit": "User-level",
                "privacy_unit_details": f"Neighbouring datasets differ by {guarantee['neighbours']}.{several}",
                "privacy_parameters": {
                    "rho": guarantee["nano_rho"] / 1e9,
                    "epsilon": guarantee["epsilon"],
                    "delta": guarantee["delta"],
                },
                "privacy_parameters_details": f"{guarantee['definition']}; minimum count shown {document['minimum_count']}.",
            },
            "deployment_model": {
                "model_name": "Central",
                "release_type": "One release",
                "data_source_type": "Dynamic",
                "access_type": "Non-interactive",
                "access_type_details": f"A signed bundle; the manifest has SHA-256 {document['manifest_sha256']} and the signer's key {document['fingerprint']}.",
            },
            "accounting": {
                "composition": "Every release and every answer from the same records is charged to one ledger of each dataset in rho; its public statement shows the sum.",
                "post_processing": "Model, synthetic records, aggregates and report are made from the noisy measurements alone and can be made again from them.",
            },
            "implementation": {
                "mechanisms": [
                    f"{each['name']}, L2 sensitivity {each['sensitivity_l2']}, {each['tables']} tables with {each['cells']} cells, noise scale {each['scale_min']:.3g} to {each['scale_max']:.3g}"
                    for each in document["mechanisms"]
                ],
                "libraries": dict(document["software"]),
                "preprocessing_and_hyperparameter_tuning": "None from data: schema, tables, budget and minimum count are fixed before any record is read.",
                "justification": "The plan, its price and its expected error were approved by a steward of each contributing organisation and by a privacy officer before anything was charged.",
            },
            "administrative": {
                "evidence_sources": {
                    "dataset": {
                        "evidence_source_type": "Formal publication by the deploying organization",
                        "misc": {"title": document["title"], "url": address, "year": int(document["published"][:4])},
                    }
                },
                "status": "Draft" if document["withdrawal"] is None else "Withdrawn by the publisher",
                "registry_authors": [publisher],
                "tier": 3,
            },
        },
    }
