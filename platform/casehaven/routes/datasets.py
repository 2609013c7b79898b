"""Routes of datasets: what there is, making one, and who may ask about it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import Field

from casehaven.core.jobs import NewJob, enqueue
from casehaven.core.projection import published
from casehaven.core.routing import GuardedRouter
from casehaven.core.training import TRAINING, refuse_training
from casehaven.core.web import Body, Here, Who
from casehaven.organisations.access import Operation, Principal
from casehaven.organisations.grants import end_grant, grant_dataset
from casehaven.routes.asking import JOB_PROBLEMS, Asked, ask_worker
from casehaven.routes.reach import reached_datasets
from caseschemas import UnknownSchemaError, shipped_schema, shipped_schema_ids

router = GuardedRouter(tags=["datasets"])

Organisation = Annotated[str, Path(max_length=64)]
Dataset = Annotated[str, Path(max_length=64)]
Handle = Annotated[str, Path(max_length=64)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


class NewDataset(Body):
    """A dataset that is to be made."""

    name: Name
    schema_id: Annotated[str, Field(alias="schema", min_length=1, max_length=64)]
    people_cap: Annotated[int, Field(ge=1, le=10**8)]


class Allowance(Body):
    """What a member may spend of a dataset's budget."""

    allowance_nano_rho: Annotated[int, Field(ge=0, lt=1 << 62)] | None = None


@router.get("/v1/datasets", operation=Operation.DATASET_LIST)
def list_datasets(here: Here, who: Who) -> dict[str, Any]:
    """List the datasets that you reach: public facts alone."""
    with here.store.reading() as connection:
        return {"items": reached_datasets(connection, who, Operation.DATASET_LIST), "next": None}


@router.get("/v1/schemas", operation=Operation.DATASET_LIST)
def list_schemas() -> dict[str, Any]:
    """List the shipped schemas that a dataset can have, with their titles and descriptions by language."""
    found = [shipped_schema(name) for name in shipped_schema_ids()]
    return {
        "items": [
            {
                "id": schema.id,
                "version": schema.version,
                "title": dict(schema.title),
                "description": dict(schema.description),
                "columns": len(schema.analysis),
            }
            for schema in found
        ],
        "next": None,
    }


@router.post(
    "/v1/organisations/{organisation}/datasets",
    operation=Operation.DATASET_CREATE,
    problems=(*JOB_PROBLEMS, "dataset-exists", "dataset-name", "unknown-schema", "training-data"),
    status_code=202,
)
async def create_dataset(
    request: Request, organisation: Organisation, body: NewDataset, here: Here, who: Who
) -> Response:
    """Make an empty dataset of a shipped schema with a public bound on its people, and open its accounts."""
    if body.schema_id not in shipped_schema_ids():
        raise UnknownSchemaError(f"no shipped schema has this id; shipped schemas: {', '.join(shipped_schema_ids())}")
    refuse_training([f"{organisation}/{body.name}"])
    asked = Asked(
        kind="dataset.create",
        organisation=organisation,
        dataset=f"{organisation}/{body.name}",
        request={"schema": body.schema_id, "people_cap": body.people_cap},
    )
    return await ask_worker(request, here, who, asked)


@router.post(
    "/v1/organisations/{organisation}/training",
    operation=Operation.DATASET_CREATE,
    problems=JOB_PROBLEMS,
    status_code=202,
)
async def make_training(request: Request, organisation: Organisation, here: Here, who: Who) -> Response:
    """Make the organisation's dataset of training and fill it with made-up people; it is in no release, agreement or pooled question."""
    asked = Asked(kind="training.make", organisation=organisation, dataset=f"{organisation}/{TRAINING}")
    return await ask_worker(request, here, who, asked)


@router.get("/v1/datasets/{organisation}/{dataset}", operation=Operation.DATASET_LIST)
def read_dataset(organisation: Organisation, dataset: Dataset, here: Here) -> dict[str, Any]:
    """Return the public facts of a dataset."""
    with here.store.reading() as connection:
        return published(connection, "dataset", f"{organisation}/{dataset}")


@router.get("/v1/datasets/{organisation}/{dataset}/schema", operation=Operation.DATASET_LIST)
def read_schema(organisation: Organisation, dataset: Dataset, here: Here) -> dict[str, Any]:
    """Return the schema of a dataset, `casehaven-schema/1`."""
    with here.store.reading() as connection:
        found = published(connection, "dataset", f"{organisation}/{dataset}")
        return published(connection, "schema", found["schema_sha256"])


@router.put(
    "/v1/datasets/{organisation}/{dataset}/grants/{handle}",
    operation=Operation.DATASET_GRANT,
    problems=("step-up-needed", "grant-beyond-rights", "name-form", "body"),
)
async def make_grant(
    organisation: Organisation, dataset: Dataset, handle: Handle, body: Allowance, here: Here, who: Who
) -> dict[str, Any]:
    """Let a member of another organisation ask about the dataset, up to an allowance."""
    return await run_in_threadpool(_grant, here, who, organisation, dataset, handle, body.allowance_nano_rho)


@router.delete(
    "/v1/datasets/{organisation}/{dataset}/grants/{handle}",
    operation=Operation.DATASET_GRANT,
    problems=("step-up-needed",),
    status_code=204,
)
def remove_grant(organisation: Organisation, dataset: Dataset, handle: Handle, here: Here, who: Who) -> None:
    """End a grant. What was answered stays answered."""
    now = here.clock()
    with here.store.writing() as connection:
        end_grant(connection, now, who, handle=handle, organisation=organisation, dataset=dataset)
        _allow(connection, organisation, dataset, handle, 0, now)


def _grant(
    here: Here, who: Principal, organisation: str, dataset: str, handle: str, nano_rho: int | None
) -> dict[str, Any]:
    now = here.clock()
    with here.store.writing() as connection:
        published(connection, "dataset", f"{organisation}/{dataset}")
        made = grant_dataset(
            connection,
            now,
            who,
            handle=handle,
            organisation=organisation,
            dataset=dataset,
            allowance_nano_rho=nano_rho,
        )
        _allow(connection, organisation, dataset, handle, nano_rho, now)
    return {"handle": made.handle, "dataset": f"{organisation}/{dataset}", "allowance_nano_rho": nano_rho}


def _allow(connection: Any, organisation: str, dataset: str, handle: str, nano_rho: int | None, now: int) -> None:
    enqueue(
        connection,
        NewJob(
            kind="allowance.set",
            now=now,
            organisation=organisation,
            dataset=f"{organisation}/{dataset}",
            request={"analyst": handle, "nano_rho": nano_rho},
        ),
    )
