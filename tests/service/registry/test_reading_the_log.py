"""What a visitor asks of the log costs no more with a longer log than it has to: the feed and a page read what they show, the file is the stored bytes."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import update
from tests.front_door import ORIGIN, FrontDoor

from casehaven.api import create_app
from casehaven.core.limits import Limits
from casehaven.core.web import ApiSettings, Service
from casehaven.registry import rows
from casehaven.registry.feed import ITEMS
from casehaven.registry.log import SignedEntry, new_entry
from casehaven.registry.models import registry_log
from casesynth.canonical import canonical_json
from casesynth.signing import SigningKey

ENTRIES = ITEMS + 30


@pytest.fixture(scope="module")
def entries() -> list[SignedEntry]:
    key, made = SigningKey.create(), list[SignedEntry]()
    for number in range(ENTRIES):
        made.append(
            new_entry(
                made[-1] if made else None,
                key,
                at="2026-11-23T09:00:00Z",
                kind="published",
                record=f"CHV-0000-0000-{number:04}.v1",
                title="“Shelters” \\ {north}",
                manifest_sha256="a" * 64,
                reason=None,
            )
        )
    return made


@pytest.fixture
def app(tmp_path: Path, entries: list[SignedEntry]) -> FastAPI:
    """A service whose log has these entries, the first of which is damaged in the store."""
    door = FrontDoor.at(tmp_path / "store")
    with door.store.writing() as connection:
        for entry in entries:
            rows.add_entry(connection, entry)
        connection.execute(update(registry_log).where(registry_log.c.position == 0).values(entry='{"damaged":1}'))
    settings = ApiSettings(origin=door.site.origin, log=False)
    service = Service(store=door.store, settings=settings, key=os.urandom(32), clock=door.clock, limits=Limits())
    return create_app(service, door.site)


def get(app: FastAPI, path: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        wire = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=wire, base_url=ORIGIN) as client:
            return await client.get(path)

    with ThreadPoolExecutor(1) as threads:
        return threads.submit(lambda: asyncio.run(ask())).result()


def test_the_feed_reads_the_entries_that_it_shows_and_no_other(app: FastAPI, entries: list[SignedEntry]) -> None:
    items = get(app, "/v1/registry/feed.json").json()["items"]
    assert len(items) == ITEMS
    named = [entry.entry["record"] for entry in entries[: -ITEMS - 1 : -1]]
    assert [record for record, item in zip(named, items, strict=True) if record not in item["url"]] == []


def test_a_page_of_the_log_reads_its_own_entries_alone(app: FastAPI, entries: list[SignedEntry]) -> None:
    assert get(app, "/v1/registry/log").json()["code"] == "registry-log"  # the damaged one is on it
    with app.state.service.store.reading() as connection:
        assert rows.log_entries(connection, after=9, limit=20) == entries[10:30]


def test_the_file_of_the_log_is_what_is_stored(app: FastAPI, entries: list[SignedEntry]) -> None:
    lines = get(app, "/v1/registry/log.jsonl").content.split(b"\n")
    assert lines.pop() == b""
    assert b'"entry":{"damaged":1},' in lines[0]  # for its reader to refuse
    assert lines[1:] == [canonical_json(entry.document()) for entry in entries[1:]]
