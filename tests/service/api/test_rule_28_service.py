"""Privacy rule 28 through the whole HTTP path: whatever depends on a person goes through the noise, also on its way to whoever asked.

A researcher quotes, asks, lists and looks at budgets over HTTP while every noisy table is written down. The same is done on neighbouring records, with the very same noisy
tables handed out again. Every byte of every answer, of the rows of the service's store and of the log has to be the same, beside clocks and random names.

Api and worker run in this process, the one as an ASGI app, the other job by job. The noise module is replaced here, in the test alone.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import select
from tests.own_loop import run
from tests.spec.test_rule_28_questions import KINDS, _neighbours

from casehaven.api import bounded, create_app
from casehaven.core import jobs
from casehaven.core.limits import Limits
from casehaven.core.service_store import ServiceStore
from casehaven.core.service_tables import job
from casehaven.core.web import ApiSettings, Service
from casehaven.ledger import BudgetPolicy, Ledger, LedgerPolicy
from casehaven.organisations import members
from casehaven.organisations.models import dataset_grant
from casehaven.organisations.roles import Kind, Role
from casehaven.queries.held import HeldPeople
from casehaven.signin.principal import PAGE_HEADER, SESSION_COOKIE
from casehaven.signin.sessions import page_value, start_session
from casehaven.signin.sign_in_key import SignInKey
from casehaven.signin.site import Site
from casehaven.vault.rootkeys import file_key
from casehaven.worker.loop import Worker, WorkerSettings
from casehaven.worker.publish import publish_signer, publish_vault
from casehaven.worker.work import Bench, Work
from casesynth.privacy.mechanisms import add_gaussian_noise
from casesynth.signing import SigningKey

if TYPE_CHECKING:
    from tests.conftest import MakePeople, SafeHouse

ORIGIN = "http://localhost:8470"
LATER = 100_000
"""Seconds: the api's clock is past every tick."""

ASKED: tuple[tuple[str, str, dict[str, Any] | None], ...] = (
    ("POST", "/v1/quotes", {"by": ["gender", "age"], "accuracy": {"within_people": 25}}),
    ("POST", "/v1/answers", {"by": ["gender", "age"], "totals": True, "accuracy": {"within_people": 25}}),
    ("POST", "/v1/answers", {"by": ["means"], "count": {"records": {"at_most": 3}}, "accuracy": {"within_people": 60}}),
    ("POST", "/v1/answers", {"by": ["gender"], "accuracy": {"within_people": 50}}),
    ("POST", "/v1/answers", {"by": ["gender"], "accuracy": {"epsilon": 90}}),
    ("POST", "/v1/answers", {"by": ["nothing"], "accuracy": {"epsilon": 0.1}}),
    ("GET", "/v1/datasets", None),
    ("GET", "/v1/datasets/north/cases/answers", None),
    ("GET", "/v1/budgets/statement", None),
    ("GET", "/v1/budgets/allowances", None),
    ("GET", "/v1/jobs", None),
)


@dataclass(frozen=True, kw_only=True)
class Inside:
    """A service in this process."""

    store: ServiceStore
    app: Any
    worker: Worker
    bench: Bench
    cookie: str

    def call(self, method: str, path: str, question: dict[str, Any] | None, number: int) -> str:
        """Ask, let the worker do what waits, and return the last answer."""
        body = None if question is None else {"datasets": ["north/cases"], "question": question}
        first = self._send(method, path, body, f"request-{number}")
        if first.status_code != 202:
            return f"{first.status_code} {first.text}"
        self._work()
        last = self._send("GET", first.headers["Location"], None, "")
        return f"{last.status_code} {last.text}"

    def _send(self, method: str, path: str, body: Any, key: str) -> httpx.Response:
        headers = {
            "Cookie": f"{SESSION_COOKIE}={self.cookie}",
            "Origin": ORIGIN,
            PAGE_HEADER: page_value(self.cookie),
            **({"Idempotency-Key": key} if key else {}),
        }

        async def sent() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as client:
                return await client.request(method, path, json=body, headers=headers)

        return run(sent())

    def _work(self) -> None:
        for lane in ("short", "questions", "long", "releases"):
            while True:
                with self.store.writing(alone=False) as connection:
                    taken = jobs.take(connection, lane=lane, worker=self.worker.name, now=int(time.time()))
                if taken is None:
                    break
                self.worker._do(Work(job=taken, bench=self.bench))


def _inside(house: SafeHouse) -> Inside:
    """Put a service on a vault."""
    folder = house.folder / "service"
    store = ServiceStore.create(folder)
    vault, signing = house.open(), house.folder / "signing.pem"
    SigningKey.create().save(signing)
    ledger_path = house.folder / "ledger.sqlite"
    ledger = Ledger.create(ledger_path, LedgerPolicy(account=BudgetPolicy.of("50", "1e-6")))
    ledger.open_dataset("north/cases", ["", *(str(year) for year in range(2019, 2024))])
    publish_vault(store, vault, 0)
    publish_signer(store, SigningKey.load(signing).public_key, 0)
    now = int(time.time())
    with store.writing() as connection:
        first = members.found(connection, now, name="north", title="North", kind=Kind.NGO, first="nora")
        members.activate(connection, now, first)
        member_id = members._add(connection, now, "north", "rosa", "")
        members._give(connection, now, member_id, "north", "rosa", Role.RESEARCHER, "")
        members.activate(connection, now, members.member_by_id(connection, member_id))
        connection.execute(
            dataset_grant.insert().values(
                member=member_id,
                organisation="north",
                dataset="cases",
                allowance_nano_rho=None,
                granted_by="nora",
                granted_at=now,
            )
        )
        cookie = start_session(connection, now, member_id, kind="full")
    service = Service(
        store=store,
        settings=ApiSettings(origin=ORIGIN),
        key=bytes(32),
        clock=lambda: int(time.time()) + LATER,
        limits=Limits(),
    )
    site = Site(database=store.database, key=SignInKey.create(), origin=ORIGIN)
    settings = WorkerSettings(
        vault=house.path, root=file_key(house.folder / "root.key"), ledger=ledger_path, signing_key=signing
    )
    bench = Bench(store=store, vault=vault, ledger=ledger, held=HeldPeople(), signing_key=signing)
    return Inside(
        store=store,
        app=bounded(create_app(service, site)),
        worker=Worker(store=store, settings=settings),
        bench=bench,
        cookie=cookie,
    )


VARYING = re.compile(
    r"\"(public_key|signature)\":\"[^\"]*\"|\b[0-9a-f]{32,64}\b|\d{4}-\d\d-\d\d(T[^\"]*)?|SHA256:[\w+/]+|\b1[78]\d{8}\b"
)


def _plain(text: str) -> str:
    """Return a text without clocks, random names and signatures."""
    return VARYING.sub("X", text.replace("\\n", " ").replace("\\", ""))


def _observed(house: SafeHouse, capfd: pytest.CaptureFixture[str]) -> list[str]:
    inside = _inside(house)
    capfd.readouterr()
    seen = [inside.call(method, path, question, number) for number, (method, path, question) in enumerate(ASKED)]
    with inside.store.reading() as connection:
        for row in connection.execute(select(job).order_by(job.c.sequence)):
            said = {name: value for name, value in row._mapping.items() if not name.endswith("_at")}
            said.pop("worker")
            seen.append(json.dumps({name: str(value) for name, value in said.items()}))
    log = [re.sub(r'"milliseconds":"\d+"|"request":"\w+"', "", line) for line in capfd.readouterr().err.splitlines()]
    return [_plain(text) for text in (*seen, *log)]


IN_EVERY_RUN = ("a new category", "most contributions")


@pytest.mark.parametrize(
    "kind", [kind if kind in IN_EVERY_RUN else pytest.param(kind, marks=pytest.mark.audit) for kind in KINDS]
)
def test_nothing_but_the_noise_tells_neighbours_apart_over_http(
    kind: str,
    people: MakePeople,
    make_house: Callable[[str], SafeHouse],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    before, after = _neighbours(kind, people)
    tape: list[NDArray[np.int64]] = []
    exact: list[bytes] = []
    exact_after: list[bytes] = []

    def record(counts: NDArray[np.int64], *, nano_rho: int, people_cap: int) -> NDArray[np.int64]:
        exact.append(counts.tobytes())
        tape.append(add_gaussian_noise(counts, nano_rho=nano_rho, people_cap=people_cap))
        return tape[-1]

    monkeypatch.setattr("casesynth.answers.counted.add_gaussian_noise", record)
    one_house = make_house("one")
    one_house.take_in(before)
    one = _observed(one_house, capfd)
    frozen = iter(tape.copy())

    def replay(counts: NDArray[np.int64], *, nano_rho: int, people_cap: int) -> NDArray[np.int64]:
        exact_after.append(counts.tobytes())
        return next(frozen)

    monkeypatch.setattr("casesynth.answers.counted.add_gaussian_noise", replay)
    other_house = make_house("other")
    other_house.take_in(after)
    other = _observed(other_house, capfd)
    assert [text.partition(" ")[0] for text in one[:6]] == ["200", "200", "200", "200", "409", "422"], one[:6]
    for here, there in zip(one, other, strict=True):
        at = next((place for place, (a, b) in enumerate(zip(here, there, strict=False)) if a != b), len(here))
        assert here == there, (here[max(at - 120, 0) : at + 60], there[max(at - 120, 0) : at + 60])
    assert next(frozen, None) is None
    assert len(exact) == len(exact_after) > 0
    if kind != "a known id again":
        assert exact != exact_after  # the worlds do differ


def test_a_planted_side_channel_is_caught(
    people: MakePeople,
    make_house: Callable[[str], SafeHouse],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The check has power: a noise module that lets the true counts through under frozen noise is seen in what the api answers."""
    before, after = _neighbours("an outlier", people)

    def leaky(counts: NDArray[np.int64], *, nano_rho: int, people_cap: int) -> NDArray[np.int64]:
        return counts * 10

    monkeypatch.setattr("casesynth.answers.counted.add_gaussian_noise", leaky)
    worlds = []
    for name, records in (("one", before), ("other", after)):
        house = make_house(name)
        house.take_in(records)
        worlds.append(_observed(house, capfd))
    assert worlds[0] != worlds[1]
