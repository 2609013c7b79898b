"""A front door on SQLite for tests of members and roles."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.front_door import FrontDoor

from casehaven.core.service_store import ServiceStore


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a store without a member."""
    folder = tmp_path_factory.mktemp("organisations") / "store"
    ServiceStore.create(folder)
    return folder


@pytest.fixture
def door(tmp_path: Path, empty_store: Path) -> FrontDoor:
    """A front door that nobody has been through."""
    return FrontDoor.at(tmp_path / "store", made=empty_store)
