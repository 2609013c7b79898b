"""A service under load: researchers who ask and caseworkers who send files, over HTTP, on the machine's own cores: `python benchmarks/service.py` prints tables in Markdown.

`casehaven serve` runs as it does for people: an api and a worker as processes, real encryption, real noise, the ledger charged. Each researcher has a token and an address of
their own and does one thing after the other without a pause: a quote, the question itself (small, and never asked before), the list of answers, what is left, the statement; a caseworker sends a file of 2,000
rows, has it proposed and takes it in, and again. Latencies are those that the caller sees, with ticks (privacy rule 24) and with the time in the queue; the callers share the cores with the service.
Refusals for too many requests are counted apart: the client waits and repeats. Any other failure is an error, and the script then ends with exit code 1.
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import json
import math
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from casehaven.client import Client, ClientError, Patience, TooManyRequestsError
from casehaven.core.jobs import NewJob, enqueue
from casehaven.core.service_store import ServiceStore
from casehaven.organisations import members
from casehaven.organisations.roles import Kind, Role
from casehaven.signin.principal import PAGE_HEADER, SESSION_COOKIE
from casehaven.signin.sessions import page_value, start_session, step_up_session

PEOPLE = 5_000
PEOPLE_CAP = 25_000
FILE_ROWS = 2_000
WITHIN = 100
FLAGS = (
    "meansDebtBondageEarnings",
    "meansThreats",
    "meansFalsePromises",
    "meansWithholdDocs",
    "isForcedLabour",
    "isSexualExploit",
    "isOtherExploit",
    "recruiterRelationFriend",
    "recruiterRelationFamily",
)
YEARS = tuple(str(year) for year in range(2005, 2023))
ASKS = ("dataset.list", "question.quote", "question.ask", "answer.list", "budget.read", "job.read")
SENDS = ("dataset.list", "upload.create", "upload.read", "upload.commit", "job.read")


def main() -> None:
    """Start a service, load it, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--researchers", type=int, default=50)
    parser.add_argument("--uploads", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="casehaven-bench-") as folder, _served(Path(folder) / "house") as house:
        house.furnish(asked.researchers, asked.uploads)
        began = house.usage()
        load = run(house.origin, house.askers, house.senders, house.dataset, seconds=asked.seconds)
        print(report(load))
        print()
        print(_usage_table(began, house.usage()))
    sys.exit(1 if load.errors else 0)


# --- the load ---


class Counting(httpx.BaseTransport):
    """A network from an address of its own; counts what was answered."""

    def __init__(self, number: int, statuses: Counter[int]) -> None:
        address = f"127.0.{1 + number // 250}.{1 + number % 250}"
        self._inner = httpx.HTTPTransport(local_address=address)
        self._statuses = statuses

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it on."""
        found = self._inner.handle_request(request)
        self._statuses[found.status_code] += 1
        return found

    def close(self) -> None:
        """Close the inner one."""
        self._inner.close()


@dataclass
class Load:
    """What came of a load."""

    seconds: float = 0.0
    took: dict[str, list[float]] = field(default_factory=dict)
    """Verb: seconds of each call that succeeded."""
    errors: Counter[str] = field(default_factory=Counter)
    """Verb and class of an error: how often."""
    slowed: int = 0
    """Calls that were refused for too many requests, after all repetitions."""
    statuses: Counter[int] = field(default_factory=Counter)
    """Of HTTP answers."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def call(self, verb: str, action: Callable[[], Any]) -> Any:
        """Do something, and write down how long it took or how it failed; None where it failed."""
        began = time.monotonic()
        try:
            found = action()
        except TooManyRequestsError:
            with self._lock:
                self.slowed += 1
            return None
        except (ClientError, OSError) as error:
            with self._lock:
                self.errors[f"{verb}: {type(error).__name__} {getattr(error, 'code', '')}"] += 1
            return None
        with self._lock:
            self.took.setdefault(verb, []).append(time.monotonic() - began)
        return found


def run(
    origin: str,
    askers: Sequence[str],
    senders: Sequence[tuple[str, str]],
    dataset: str,
    *,
    seconds: float,
    rows: int = FILE_ROWS,
) -> Load:
    """Load a service and return what came of it.

    Args:
        origin: its address.
        askers: a token for each researcher.
        senders: a token and a dataset for each caseworker.
        dataset: that is asked about.
        seconds: after which nobody begins anything new.
        rows: of each file.
    """
    load, until = Load(), time.monotonic() + seconds
    questions, lock = distinct_questions(), threading.Lock()

    def client(number: int, token: str) -> Client:
        return Client(origin, token, patience=Patience(attempts=6), wire=Counting(number, load.statuses))

    def ask(number: int, token: str) -> None:
        with client(number, token) as mine:
            while time.monotonic() < until:
                with lock:
                    question = next(questions)
                asked: list[tuple[str, Callable[[], Any]]] = [
                    ("quote", partial(mine.queries.quote, dataset, question)),
                    ("ask", partial(mine.queries.ask, dataset, question)),
                    ("answers", partial(mine.answers.list, dataset)),
                    ("allowances", mine.budgets.allowances),
                    ("statement", mine.budgets.statement),
                ]
                for verb, action in asked:
                    if time.monotonic() < until:
                        load.call(verb, action)

    def send(number: int, token: str, to: str) -> None:
        with client(200 + number, token) as mine, tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "cases.csv"
            for turn in itertools.count():
                if time.monotonic() >= until:
                    return
                path.write_bytes(case_file(rows, f"u{number}-{turn}", seed=number * 1_000 + turn))
                upload = load.call("send", partial(mine.uploads.send, path, to))
                found = None if upload is None else load.call("propose", partial(mine.uploads.propose, upload))
                if found is not None:
                    load.call("commit", partial(mine.uploads.commit, upload, mapping=found.mapping))

    threads = [threading.Thread(target=ask, args=(n, token)) for n, token in enumerate(askers)]
    threads += [threading.Thread(target=send, args=(n, token, to)) for n, (token, to) in enumerate(senders)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    load.seconds = time.monotonic() - began
    return load


def distinct_questions() -> Iterator[dict[str, Any]]:
    """Yield small questions, none of which follows from the others."""
    accuracy = {"within_people": WITHIN}
    for flag, year, gender in itertools.product(FLAGS, YEARS, ("Man", "Woman")):
        where = [{"attribute": "yearOfRegistration", "equals": year}, {"attribute": "gender", "equals": gender}]
        yield {"by": [flag], "where": {"all": where}, "accuracy": accuracy}
    for (one, other), year in itertools.product(itertools.permutations(FLAGS, 2), YEARS):
        condition = {"attribute": "yearOfRegistration", "equals": year}
        yield {
            "by": [one, "ageBroad"],
            "where": {"all": [condition, {"attribute": other, "equals": "1"}]},
            "accuracy": accuracy,
        }
    raise RuntimeError("more questions were asked than there are; make more kinds")


def report(load: Load) -> str:
    """Return the tables of a load."""
    lines = [
        "| verb | calls | calls/s | p50 s | p95 s | p99 s | slowest s |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for verb, took in sorted(load.took.items()):
        ranked = sorted(took)
        at = [_at(ranked, part) for part in (0.5, 0.95, 0.99, 1.0)]
        shown = " | ".join(f"{number:.2f}" for number in at)
        lines.append(f"| {verb} | {len(took):,} | {len(took) / load.seconds:.2f} | {shown} |")
    requests = sum(load.statuses.values())
    faults = ", ".join(f"{what} ({count})" for what, count in sorted(load.errors.items())) or "none"
    said = (
        f"{load.seconds:.0f} s, {requests:,} HTTP requests ({requests / load.seconds:.1f}/s); errors: {faults}; "
        f"answers that asked to wait (429): {load.statuses[429]:,}, calls given up for that: {load.slowed:,}"
    )
    return "\n".join([*lines, "", said])


def _at(ranked: Sequence[float], part: float) -> float:
    """Return the smallest number that so many are not above."""
    return ranked[min(len(ranked) - 1, math.ceil(part * len(ranked)) - 1)]


def case_file(rows: int, name: str, *, seed: int) -> bytes:
    """Return a case file of people who are nobody."""
    rng = random.Random(seed)
    text = io.StringIO()
    writer = csv.writer(text)
    consents = ("consentPooledStatistics", "consentSyntheticRelease")
    writer.writerow(["caseReference", "personToken", *consents, "yearOfRegistration", "gender", *FLAGS])
    for number in range(rows):
        flags = [rng.choice(("1", "0")) for _ in FLAGS]
        year, gender = rng.choice(YEARS), rng.choice(("Man", "Woman"))
        writer.writerow([f"{name}-r{number}", f"{name}-p{number}", "yes", "yes", year, gender, *flags])
    return text.getvalue().encode()


# --- the service ---


@dataclass
class House:
    """A service of its own, with people in it."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    askers: list[str] = field(default_factory=list)
    senders: list[tuple[str, str]] = field(default_factory=list)
    dataset: str = "north/cases"

    @property
    def origin(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def furnish(self, researchers: int, uploads: int) -> None:
        """Found organisations, take in people, and make tokens."""
        north = self._found("north", Kind.NGO)
        self._dataset(north, "north")
        token = self._token(north, SENDS)
        with Client(self.origin, token) as client, tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "cases.csv"
            path.write_bytes(case_file(PEOPLE, "n", seed=0))
            upload = client.uploads.send(path, self.dataset)
            client.uploads.commit(upload, mapping=client.uploads.propose(upload).mapping)
        for number in range(researchers):
            handle = f"researcher{number}"
            self._researcher("north", handle)
            self._send(north, "PUT", f"/v1/datasets/north/cases/grants/{handle}", {"allowance_nano_rho": None})
            self.askers.append(self._token(self._session(handle), ASKS))
        for number in range(uploads):
            name = f"shelter{number}"
            self._dataset(self._found(name, Kind.NGO), name)
            self.senders.append((self._token(self._session(f"{name}-first"), SENDS), f"{name}/cases"))

    def usage(self) -> dict[str, tuple[float, float]]:
        """Return the peak memory in MB and the CPU seconds of api and worker so far."""
        found = {"api": (0.0, 0.0), "worker": (0.0, 0.0)}
        for number in (self.process.pid, *_children(self.process.pid)):
            words = Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
            name = "worker" if b"worker" in words else "api"
            status = Path(f"/proc/{number}/status").read_text(encoding="ascii", errors="replace")
            peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
            times = (
                Path(f"/proc/{number}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
            )
            seconds = (int(times[11]) + int(times[12]) + int(times[13]) + int(times[14])) / os.sysconf("SC_CLK_TCK")
            found[name] = (max(found[name][0], peak), found[name][1] + seconds)
        return found

    def _found(self, name: str, kind: Kind) -> str:
        """Found an organisation, and return a session of its first member."""
        with self._store.writing() as connection:
            now = int(time.time())
            made = members.found(connection, now, name=name, title=name, kind=kind, first=f"{name}-first")
            members.activate(connection, now, made)
            if kind is Kind.NGO:
                enqueue(connection, NewJob(kind="organisation.keys", now=now, organisation=name))
        return self._session(f"{name}-first")

    def _researcher(self, organisation: str, handle: str) -> None:
        """Add a researcher to an organisation: one of its own asks without an agreement."""
        with self._store.writing() as connection:
            now = int(time.time())
            member_id = members._add(connection, now, organisation, handle, "")
            members._give(connection, now, member_id, organisation, handle, Role.RESEARCHER, "")
            members.activate(connection, now, members.member_by_id(connection, member_id))

    def _session(self, handle: str) -> str:
        with self._store.writing() as connection:
            now = int(time.time())
            value = start_session(connection, now, members.member_named(connection, handle).id, kind="full")
            return step_up_session(connection, now, value) or ""

    def _dataset(self, session: str, organisation: str) -> None:
        body = {
            "name": "cases",
            "schema": "ctdc-global",
            "people_cap": PEOPLE_CAP if organisation == "north" else 10**7,
        }
        place = f"/v1/organisations/{organisation}/datasets"
        until = time.monotonic() + 60
        while True:  # its keys are made by the worker
            answer = self._send(session, "POST", place, body, check=False)
            if answer.status_code == 200 or time.monotonic() > until:
                break
            time.sleep(0.2)
        assert answer.status_code == 200, answer.text

    def _token(self, session: str, operations: Sequence[str]) -> str:
        body = {"name": "load", "operations": list(operations), "days": 1}
        value: str = self._send(session, "POST", "/v1/tokens", body).json()["value"]
        return value

    def _send(self, session: str, method: str, path: str, body: Any, *, check: bool = True) -> httpx.Response:
        headers = {
            "Cookie": f"{SESSION_COOKIE}={session}",
            "Origin": f"http://localhost:{self.port}",
            PAGE_HEADER: page_value(session),
            "Prefer": "wait=20",
            "Content-Type": "application/json",
        }
        answer = httpx.request(method, self.origin + path, content=json.dumps(body), headers=headers, timeout=60)
        assert not check or answer.status_code < 300, answer.text
        return answer

    @property
    def _store(self) -> ServiceStore:
        return ServiceStore.open(self.folder, None)


@contextmanager
def _served(folder: Path) -> Iterator[House]:
    """Run a service in a new folder."""
    ports = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as one:
            ports.append(one.getsockname()[1])
    command = [sys.executable, "-m", "casehaven", "serve", "--folder", str(folder), "--epsilon", "60"]
    command += ["--port", str(ports[0]), "--status-port", str(ports[1])]
    with (folder.parent / "service.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            _wait_for(f"http://127.0.0.1:{ports[1]}/health", process)
            yield House(folder=folder, port=ports[0], process=process)
        finally:
            process.terminate()
            process.wait(60)


def _wait_for(place: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(place, timeout=5).json() == {"store": "ok", "worker": "ok"}:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise RuntimeError("the service did not start")


def _children(number: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{number}/task").iterdir():
        for child in (task / "children").read_text(encoding="ascii").split():
            found += [int(child), *_children(int(child))]
    return found


def _usage_table(before: dict[str, tuple[float, float]], after: dict[str, tuple[float, float]]) -> str:
    lines = ["| process | peak memory MB | CPU s under load |", "| --- | --- | --- |"]
    lines += [f"| {name} | {after[name][0]:.0f} | {after[name][1] - before[name][1]:.1f} |" for name in after]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
