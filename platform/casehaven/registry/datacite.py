"""A record in the form of DataCite metadata (schema 4, as JSON): for catalogues that take it.

1. The identifier is the registry's own name. There is no DOI: whoever has a DataCite account can register one with this metadata.
2. Where no creator is named, the creator is said in words that name nobody. No count and no contributor is added to what the record says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from casehaven.registry.record import guarantee_words

SCHEMA: Final = "http://datacite.org/schema/kernel-4"
UNNAMED: Final = "Contributors to Casehaven (not named)"
_FORMATS: Final = {
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
}


def datacite(document: Mapping[str, Any], *, publisher: str, address: str, versions: Sequence[str]) -> dict[str, Any]:
    """Return a record as DataCite metadata.

    Args:
        document: the record.
        publisher: who runs this registry.
        address: of the record.
        versions: names of all versions of the release.
    """
    withdrawal = document["withdrawal"]
    dates = [
        {"date": document["created"], "dateType": "Created"},
        {"date": document["published"], "dateType": "Issued"},
    ]
    if withdrawal is not None:
        dates.append({"date": withdrawal["at"], "dateType": "Withdrawn", "dateInformation": withdrawal["reason"]})
    descriptions = [
        {
            "description": (
                "Synthetic records and aggregate tables of human trafficking case records, made from measurements with calibrated noise. No row is a person."
            ),
            "descriptionType": "Abstract",
            "lang": "en",
        },
        {"description": guarantee_words(document), "descriptionType": "TechnicalInfo", "lang": "en"},
    ]
    if document["changelog"]:
        descriptions.append({"description": document["changelog"], "descriptionType": "Other"})
    return {
        "identifiers": [{"identifier": document["id"], "identifierType": "Casehaven registry"}],
        "creators": [{"name": document["creator"] or UNNAMED, "nameType": "Organizational"}],
        "titles": [{"title": document["title"]}],
        "publisher": {"name": publisher},
        "publicationYear": int(document["published"][:4]),
        "types": {"resourceTypeGeneral": "Dataset", "resourceType": "Differentially private synthetic data"},
        "subjects": [
            {"subject": "human trafficking"},
            {"subject": "differential privacy"},
            {"subject": "synthetic data"},
        ],
        "dates": dates,
        "language": "en",
        "relatedIdentifiers": _related(document, versions, address.removesuffix(document["id"])),
        "sizes": [f"{sum(each['size'] for each in document['files'])} bytes"],
        "formats": sorted({_FORMATS[each["format"]] for each in document["downloads"]}),
        "version": str(document["version"]),
        "rightsList": [{"rightsIdentifier": document["licence"], "rightsIdentifierScheme": "SPDX"}],
        "descriptions": descriptions,
        "url": address,
        "schemaVersion": SCHEMA,
    }


def _related(document: Mapping[str, Any], versions: Sequence[str], before: str) -> list[dict[str, str]]:
    made = [(document["concept"], "IsVersionOf")]
    if document["succeeds"]:
        made.append((document["succeeds"], "IsNewVersionOf"))
    later = [name for name in versions if int(name.rpartition(".v")[2]) > document["version"]]
    made += [(name, "IsPreviousVersionOf") for name in later]
    return [
        {"relatedIdentifier": f"{before}{name}", "relatedIdentifierType": "URL", "relationType": relation}
        for name, relation in made
    ]
