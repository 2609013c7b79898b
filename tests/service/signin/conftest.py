"""A front door on SQLite; some tests ask for one on Postgres too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.front_door import FrontDoor

from casehaven.core.service_store import ServiceStore

if TYPE_CHECKING:
    from tests.service.conftest import Postgres


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a store without a member."""
    folder = tmp_path_factory.mktemp("service") / "store"
    ServiceStore.create(folder)
    return folder


@pytest.fixture
def door(tmp_path: Path, empty_store: Path) -> FrontDoor:
    """A front door that nobody has been through."""
    return FrontDoor.at(tmp_path / "store", made=empty_store)


@pytest.fixture(params=["sqlite", "postgresql"])
def either_door(request: pytest.FixtureRequest, tmp_path: Path, empty_store: Path) -> Iterator[FrontDoor]:
    """The same on both databases."""
    if request.param == "sqlite":
        yield FrontDoor.at(tmp_path / "store", made=empty_store)
        return
    server: Postgres = request.getfixturevalue("postgres")
    address = server()
    yield FrontDoor.at(tmp_path / "store", database=address)
    server.give_back(address)
