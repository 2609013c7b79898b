"""Uploads leave room on the disk: so much may wait of an organisation, and what everybody needs stays free (rules of `casehaven.core.upload_room`)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from tests.front_door import FrontDoor, Person
from tests.raw_request import Answered, send_raw

from casehaven.api import bounded, create_app
from casehaven.core.limits import Limits
from casehaven.core.projection import publish
from casehaven.core.request_errors import DiskFullError
from casehaven.core.service_store import ServiceStore
from casehaven.core.upload_files import mark_upload
from casehaven.core.upload_room import FREE_BYTES, QUOTA_BYTES, STEP_BYTES, UploadRoom
from casehaven.core.web import ApiSettings, Service
from casehaven.organisations.members import member_named
from casehaven.signin.sessions import start_session, step_up_session

MIB = 1024 * 1024


class Disk:
    """A disk whose free space a test sets."""

    def __init__(self) -> None:
        self.free = 100 * MIB
        self.falls = 0

    def __call__(self, folder: Path) -> int:
        assert folder.is_dir()
        self.free -= self.falls
        return self.free


class Sender:
    """Two organisations that send uploads to one app with a room of 10 MiB each."""

    def __init__(self, folder: Path) -> None:
        ServiceStore.create(folder / "empty")
        self.door = FrontDoor.at(folder / "store", made=folder / "empty")
        self.people: dict[str, Person] = {
            "north": self.door.set_up(),
            "south": self.door.found("sam", "south"),
        }
        self.disk = Disk()
        self.service = Service(
            store=self.door.store,
            settings=ApiSettings(origin=self.door.site.origin, log=False),
            key=os.urandom(32),
            clock=self.door.clock,
            limits=Limits(),
            room=UploadRoom(quota_bytes=10 * MIB, free_bytes=20 * MIB, free=self.disk),
        )
        self.app = bounded(create_app(self.service, self.door.site))
        with self.door.store.writing() as connection:
            for name in self.people:
                key = X25519PrivateKey.generate().public_key().public_bytes_raw().hex()
                document = {"organisation": name, "public_key": key}
                publish(connection, "organisation-key", name, document, organisation=name, now=1)
                publish(
                    connection,
                    "dataset",
                    f"{name}/cases",
                    {"organisation": name, "name": "cases"},
                    organisation=name,
                    now=1,
                )

    def send(self, organisation: str, size: int, *, key: str | None = None) -> Answered:
        """Send a file of so many bytes, in pieces of 64 KiB."""
        return send_raw(
            self.app,
            "POST",
            f"/v1/datasets/{organisation}/cases/uploads",
            (b"x" * 65_536 for _ in range(size // 65_536)),
            session=self.people[organisation].session,
            content_type="application/octet-stream",
            idempotency_key=key or uuid4().hex,
        )

    def stepped_up(self, organisation: str) -> str:
        """Begin another session of an organisation's first member, that has stepped up."""
        with self.door.store.writing() as connection:
            member = member_named(connection, self.people[organisation].handle)
            value = start_session(connection, self.door.clock(), member.id, kind="full")
            return step_up_session(connection, self.door.clock(), value) or ""

    @property
    def files(self) -> list[Path]:
        """What lies in the folder."""
        return sorted(self.door.store.uploads.iterdir())


@pytest.fixture
def sender(tmp_path: Path) -> Iterator[Sender]:
    """A fresh one."""
    yield Sender(tmp_path)


def test_what_waits_of_an_organisation_is_bounded_and_is_nobody_elses_bound(sender: Sender) -> None:
    sent = [sender.send("north", 3 * MIB) for _ in range(3)]
    assert [found.status for found in sent] == [201, 201, 201], sent
    refused = sender.send("north", 3 * MIB)
    assert (refused.status, refused.code) == (507, "uploads-waiting")
    assert len(sender.files) == 3
    assert sum(path.stat().st_size for path in sender.files) <= 10 * MIB
    mark_upload(sender.door.store, sender.files[0].name.partition(".")[0], "destroyed")
    assert sender.send("south", 3 * MIB).status == 201
    assert sender.send("north", 3 * MIB).status == 201


def test_one_file_beyond_the_bound_is_not_read_to_its_end(sender: Sender) -> None:
    refused = sender.send("north", 100 * MIB)
    assert (refused.status, refused.code) == (507, "uploads-waiting")
    assert refused.taken <= 10 * MIB + 2 * STEP_BYTES
    assert not sender.files
    assert sender.send("north", MIB).status == 201  # what broke off counts no more


def test_what_is_arriving_counts(sender: Sender) -> None:
    with sender.service.room.arriving(sender.door.store, "north") as arrival:
        arrival.took(10 * MIB)
        refused = sender.send("north", MIB)
        assert (refused.status, refused.code, refused.taken) == (507, "uploads-waiting", 0)
        assert sender.send("south", MIB).status == 201
    assert sender.send("north", MIB).status == 201


def test_a_disk_that_is_nearly_full_takes_no_file(sender: Sender) -> None:
    sender.disk.free = 20 * MIB - 1
    refused = sender.send("north", MIB)
    assert (refused.status, refused.code, refused.taken) == (503, "disk-full", 0)
    assert not sender.files
    sender.disk.free, sender.disk.falls = 24 * MIB, 3 * MIB  # others fill it while the file arrives
    refused = sender.send("north", 9 * MIB)
    assert (refused.status, refused.code) == (503, "disk-full")
    assert not sender.files
    sender.disk.free, sender.disk.falls = 20 * MIB, 0
    assert sender.send("north", MIB).status == 201


def test_the_bounds_of_a_service_that_says_nothing(sender: Sender) -> None:
    free = shutil.disk_usage(sender.door.store.uploads).free
    assert UploadRoom().free(sender.door.store.uploads) == pytest.approx(free, rel=0.2)
    with UploadRoom(free_bytes=0).arriving(sender.door.store, "north") as arrival:
        arrival.look()
    with UploadRoom(free_bytes=1 << 62).arriving(sender.door.store, "north") as arrival, pytest.raises(DiskFullError):
        arrival.look()
    assert (
        (UploadRoom().quota_bytes, UploadRoom().free_bytes) == (QUOTA_BYTES, FREE_BYTES) == (4 * 1024**3, 2 * 1024**3)
    )
