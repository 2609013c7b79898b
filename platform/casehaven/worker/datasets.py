"""Jobs that make keys and datasets."""

from __future__ import annotations

from casehaven.core.training import refuse_training
from casehaven.queries.public_facts import SnapshotFacts
from casehaven.vault.datasets import Dataset, parse_dataset_id
from casehaven.vault.errors import DatasetExistsError, SchemaDiffersError
from casehaven.worker.publish import publish_vault
from casehaven.worker.work import Bench, Done, Work
from caseschemas import shipped_schema


def organisation_keys(work: Work) -> Done:
    """Make an organisation's keys, and publish the public one. Does nothing where it has keys."""
    vault, name = work.bench.vault, work.job.organisation
    with vault.organisation_lock(name, alone=True):
        if name not in vault.keystore.organisations:
            vault.keystore.add_organisation(name)
    publish_vault(work.bench.store, vault, work.bench.clock())
    return Done(result={"organisation": name})


def create(work: Work) -> Done:
    """Make an empty dataset, open its accounts in the ledger, and publish it. Tried again, it finds its own.

    Raises:
        DatasetExistsError: there is another one of that name.
        TrainingDataError: the name is kept for training.
        UnknownSchemaError: it is not the id of a shipped schema. A path is never opened: what asks comes from the web.
    """
    vault = work.bench.vault
    schema, cap = shipped_schema(str(work.request["schema"])), int(work.request["people_cap"])
    organisation, name = parse_dataset_id(work.job.dataset)
    refuse_training([work.job.dataset])  # its name is kept: `casehaven.core.training`, rule 2
    try:
        dataset = vault.add_dataset(organisation, name, schema, cap, actor=work.actor)
    except DatasetExistsError:
        dataset = vault.dataset(organisation, name)
        if work.job.attempt == 1 or (dataset.schema.digest(), dataset.people_cap) != (schema.digest(), cap):
            raise
    open_accounts(work.bench, dataset)
    publish_vault(work.bench.store, vault, work.bench.clock())
    return Done(result={"organisation": organisation, "name": name, "schema": schema.id, "people_cap": cap})


def open_accounts(bench: Bench, dataset: Dataset) -> None:
    """Open the accounts of a dataset in the ledger, one for each block; those that are open stay as they are."""
    bench.ledger.open_dataset(dataset.id, _blocks(bench.vault.vault_id, dataset))


def _blocks(vault_id: str, dataset: Dataset) -> tuple[str, ...]:
    if dataset.schema.person_key is None:
        raise SchemaDiffersError(f"{dataset.schema.id} has no person key")
    return SnapshotFacts.of([dataset], "separate", vault_id=vault_id, seconds=0).blocks
