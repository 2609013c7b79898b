"""Makes the vectors of docs/spec/prepare.md: `python tests/vectors/prepared/make.py FOLDER`, from inputs that this file fixes.

A file of vectors is written once; the script refuses to replace one. Sealing draws fresh keys, so the sealed file differs from run to run: it is a fixture to be
opened. Tokens can be computed again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow as pa

from casehaven.intake.linkage_key import LinkageKey
from casehaven.intake.mapped_file import RECORD_KEY
from casehaven.intake.prepare_tokens import person_tokens, record_token, reference_token, rule_of
from casehaven.intake.public_key_file import OrganisationPublicKey
from casehaven.intake.sealed_upload import allowed_columns, seal_prepared
from casehaven.vault.envelope import public_key_of
from caseschemas import load_schema

KEY = LinkageKey(key=bytes(range(32)))
PRIVATE = bytes(range(32, 64))
ORGANISATION = "north"
PEOPLE = [
    {"person": "17", "prs_FirstName": "Zoé", "prs_SecondName": "Example-Test", "prs_Birthdate": "1999-03-04"},
    {"person": "17", "prs_FirstName": "Zoé", "prs_SecondName": "", "prs_Birthdate": "1999"},
    {"person": " A  18", "prs_FirstName": "Nobody", "prs_SecondName": "Here", "prs_Birthdate": "2001"},
    {"person": "19", "prs_FirstName": "EXAMPLE TEST", "prs_SecondName": "zoe", "prs_Birthdate": "04/03/1999"},
]


def main(folder: Path) -> None:
    schema = load_schema("htcds-2.0")
    identifiers = {name: [one[name] for one in PEOPLE] for name in PEOPLE[0] if name != "person"}
    persons = [one["person"] for one in PEOPLE]
    tokens = person_tokens(KEY, schema, ORGANISATION, persons, identifiers)
    columns = {name: [""] * len(PEOPLE) for name in allowed_columns(schema)}
    columns |= {
        "personToken": tokens,
        RECORD_KEY: [record_token(KEY, ORGANISATION, f"key {n}") for n in range(len(PEOPLE))],
    }
    columns |= {"caseReference": [reference_token(KEY, ORGANISATION, f"Case {n}") for n in range(len(PEOPLE))]}
    columns |= {"prs_Gender": ["Feminine", "", "Masculine", "Feminine"], "con_Consent": ["TRUE", "", "FALSE", "TRUE"]}
    columns |= {"vic_MethodsOfControl": ["DebtBondage;FalsePromises", "", "", "Other"]}
    to = OrganisationPublicKey(organisation=ORGANISATION, public_key=public_key_of(PRIVATE))
    sealed = seal_prepared(pa.table(columns), schema, rule_of(schema), KEY.fingerprint, to)
    document = {
        "linkage_key": KEY.key.hex(),
        "linkage_fingerprint": KEY.fingerprint,
        "private_key": PRIVATE.hex(),
        "public_key": to.public_key.hex(),
        "public_fingerprint": to.fingerprint,
        "organisation": ORGANISATION,
        "schema": {"id": schema.id, "version": schema.version},
        "people": PEOPLE,
        "tokens": tokens,
        "tokens_shared_numbers": person_tokens(KEY, schema, ORGANISATION, persons, identifiers, "shared"),
        "records": columns,
        "sealed": sealed.hex(),
    }
    with (folder / "prepared-1.json").open("x", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False, indent=1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
