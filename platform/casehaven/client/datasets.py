"""Datasets: what there is to ask about, by public facts alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from casehaven.client.display import Listing
from casehaven.client.errors import BadRequestError
from casehaven.client.fields import Fields, pages
from casehaven.client.jobs import Jobs
from casehaven.client.transport import Transport

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}/[a-z0-9][a-z0-9._-]{0,63}")

_ORGANISATION: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset of an organisation."""

    organisation: str
    name: str
    schema: str
    """Id of its schema."""
    schema_version: str
    people_cap: int
    """Public bound on its number of people; nobody is told the number."""
    schema_sha256: str = field(repr=False, default="")

    @property
    def id(self) -> str:
        """Its name: organisation/dataset."""
        return f"{self.organisation}/{self.name}"


class Datasets:
    """The datasets that the token reaches."""

    def __init__(self, transport: Transport, jobs: Jobs) -> None:
        """Use a connection."""
        self._transport, self._jobs = transport, jobs

    def list(self) -> Listing[Dataset]:
        """Return the datasets that you may ask about or look after."""
        return Listing(pages(self._transport, "/v1/datasets", _read, "list of datasets"))

    def get(self, dataset: str) -> Dataset:
        """Return one dataset.

        Args:
            dataset: organisation/dataset.

        Raises:
            NotThereError: there is none that the token reaches.
        """
        return _read(Fields(self._transport.json("GET", dataset_path(dataset)), "dataset"))

    def schema(self, dataset: str) -> Mapping[str, Any]:
        """Return the schema of a dataset, `casehaven-schema/1`: its attributes, their values and labels."""
        return self._transport.json("GET", f"{dataset_path(dataset)}/schema")

    def create(self, dataset: str, *, schema: str, people_cap: int) -> None:
        """Make an empty dataset, and open its accounts.

        Args:
            dataset: organisation/dataset.
            schema: id of a shipped schema.
            people_cap: public bound on its number of people, for good.

        Raises:
            ConflictError: there is one of that name.
        """
        organisation, name = dataset_parts(dataset)
        body = {"name": name, "schema": schema, "people_cap": people_cap}
        self._jobs.ask("POST", f"/v1/organisations/{organisation}/datasets", body=body)


def dataset_parts(dataset: str) -> tuple[str, str]:
    """Return organisation and dataset of a name.

    >>> dataset_parts("north/cases")
    ('north', 'cases')

    Raises:
        BadRequestError: it is written in another way.
    """
    if not _NAME.fullmatch(dataset):
        raise BadRequestError(status=0, code="dataset-name", title="a dataset is written organisation/dataset")
    organisation, _, name = dataset.partition("/")
    return organisation, name


def dataset_path(dataset: str) -> str:
    """Return the path of a dataset."""
    organisation, name = dataset_parts(dataset)
    return f"/v1/datasets/{organisation}/{name}"


def organisation_path(organisation: str) -> str:
    """Return the path of an organisation.

    Raises:
        BadRequestError: its name is written in another way.
    """
    if not _ORGANISATION.fullmatch(organisation):
        raise BadRequestError(status=0, code="name-form", title="an organisation is named as the server lists it")
    return f"/v1/organisations/{organisation}"


def _read(fields: Fields) -> Dataset:
    return Dataset(
        organisation=fields.text("organisation"),
        name=fields.text("name"),
        schema=fields.text("schema"),
        schema_version=fields.text("schema_version"),
        people_cap=fields.whole("people_cap"),
        schema_sha256=fields.text("schema_sha256"),
    )
