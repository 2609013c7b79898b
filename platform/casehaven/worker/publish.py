"""What the worker publishes of the vault: public keys, datasets, schemas (`casehaven.core.projection`)."""

from __future__ import annotations

import json

from casehaven.core.projection import publish
from casehaven.core.service_store import ServiceStore
from casehaven.vault.store import Vault
from casesynth.signing import PublicKey


def publish_signer(store: ServiceStore, key: PublicKey, now: int) -> None:
    """Publish the public key that verifies this deployment's releases and statements."""
    with store.writing() as connection:
        document = {"public_key": key.text, "fingerprint": key.fingerprint}
        publish(connection, "signer", "signer", document, organisation="", now=now)


def publish_vault(store: ServiceStore, vault: Vault, now: int) -> None:
    """Publish what is public in the vault."""
    keys = {name: vault.keystore.organisation(name).public_key.hex() for name in vault.keystore.organisations}
    datasets = vault.datasets()
    with store.writing() as connection:
        for name, key in keys.items():
            document = {"organisation": name, "public_key": key}
            publish(connection, "organisation-key", name, document, organisation=name, now=now)
        for dataset in datasets:
            schema = dataset.schema
            publish(
                connection,
                "dataset",
                dataset.id,
                {
                    "organisation": dataset.organisation,
                    "name": dataset.name,
                    "schema": schema.id,
                    "schema_version": schema.version,
                    "schema_sha256": schema.digest(),
                    "people_cap": dataset.people_cap,
                },
                organisation=dataset.organisation,
                now=now,
            )
            document = json.loads(schema.canonical())
            publish(connection, "schema", schema.digest(), document, organisation="", now=now)
        publish(connection, "vault", "vault", {"vault_id": vault.vault_id}, organisation="", now=now)
