"""An organisation of its own in the shared house, for tests of the caseworker's and steward's pages: what they change is theirs."""

from __future__ import annotations

import base64
import re
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
from sqlalchemy import update
from tests.service.api.conftest import Caller, RunningService, _has_keys, take_in
from tests.web.pages import Reader

from casehaven.organisations.roles import Role
from casehaven.signin.models import session
from casehaven.signin.sessions import find_session, page_value

CASES = b"""caseReference,personToken,consentOwnStatistics,consentPooledStatistics,yearOfRegistration,gender,citizenship
R-1,T-1,yes,yes,2021,Woman,UKR
R-2,T-2,yes,yes,2022,Man,PHL
R-3,T-3,no,yes,2022,Woman,USA
R-4,T-4,yes,yes,2022,Woman,UKR
R-5,T-5,yes,yes,2021,Woman,
R-6,T-6,yes,yes,2021,Man,
R-7,T-7,yes,yes,2022,Woman,
"""
MESSY = """N\u00b0 b\u00e9n\u00e9ficiaire,Sexe,Vu le,Nationalit\u00e9,Moyens,Remarques
A1,f.,12/05/2019,Ukraine,Threats;Debts,Zxqsecret one
A2,f.,12/06/2019,Philippines,Threats,Zxqsecret two
A3,h.,13/05/2020,USA,Debts,Zxqsecret three
A3,h.,13/05/2020,USA,Debts,Zxqsecret three
,nsp,2021,Ukraine,hunger,Zxqsecret four
A6,nsp,2022,Narnia,beaten,Zxqsecret five
""".encode()
"""A file with columns that are not understood, guesses, a repeated row, one without a person, and free text."""


@dataclass(frozen=True, kw_only=True)
class FreshReader(Reader):
    """A reader each of whose forms was made anew: with a key of its own, unless a test says which."""

    def post(self, path: str, fields: Mapping[str, str | Sequence[str]], *, key: str = "") -> httpx.Response:
        """Send a form."""
        return super().post(path, fields, key=key or uuid4().hex)


@dataclass(frozen=True, kw_only=True)
class Harbour:
    """The organisation, with a dataset `cases` that holds `CASES`, and an empty one, `drafts`."""

    running: RunningService
    first: Caller
    helper: Caller
    second: Caller

    @property
    def steward(self) -> Caller:
        """The organisation's steward; the second factor is fresh, however long the tests before took."""
        return self._fresh(self.first)

    @property
    def caseworker(self) -> Caller:
        """A caseworker of it."""
        return self._fresh(self.helper)

    @property
    def neighbour(self) -> Caller:
        """Steward of another organisation with a dataset `cases`."""
        return self._fresh(self.second)

    def _fresh(self, caller: Caller) -> Caller:
        with self.running.store.writing() as connection:
            now = int(time.time())
            found = find_session(connection, now, caller.session)
            assert found is not None
            connection.execute(update(session).where(session.c.id == found[0].id).values(stepped_up_at=now))
        return caller

    def long_after_signing_in(self) -> Caller:
        """The steward in a session whose second factor is no longer fresh."""
        caller = self.running.caller("harbour-steward", "harbour", stepped_up=False)
        with self.running.store.writing() as connection:
            found = find_session(connection, int(time.time()), caller.session)
            assert found is not None
            connection.execute(update(session).where(session.c.id == found[0].id).values(stepped_up_at=None))
        return caller

    @property
    def reader(self) -> Reader:
        """The steward, over HTTP."""
        return FreshReader(caller=self.steward)


def furnished(running: RunningService) -> Harbour:
    """Found two organisations with cases."""
    stewards = [running.organisation(name) for name in ("harbour", "island")]
    for steward in stewards:
        running.wait(partial(_has_keys, running, steward.organisation), 30)
        for name in ("cases", "drafts"):
            body = {"name": name, "schema": "ctdc-global", "people_cap": 500}
            steward.done(f"/v1/organisations/{steward.organisation}/datasets", body)
        take_in(steward, "cases", CASES)
    worker = running.member("harbour", "cora", Role.CASEWORKER)
    return Harbour(running=running, first=stewards[0], helper=worker, second=stewards[1])


def sent_file(
    caller: Caller, file: bytes, *, dataset: str = "drafts", page: str | None = None, key: str = "k" * 32
) -> httpx.Response:
    """Send a file as a browser without a script does."""
    return caller.http.post(
        f"/datasets/{caller.organisation}/{dataset}/uploads",
        data={"page": page_value(caller.session) if page is None else page, "key": key},
        files={"file": ("Maria Lopez.csv", file, "text/csv")},
        headers={**Reader(caller=caller)._headers(), "Origin": caller.origin},
    )


def fields_of(html: str) -> dict[str, Any]:
    """What the form of the mapping would send untouched: hidden fields, inputs with a value, chosen options."""
    form = html[html.index('name="found"') - 200 :]
    found: dict[str, Any] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        if name and value and ('type="checkbox"' not in tag or " checked" in tag) and name[1] not in ("page", "key"):
            found[name[1]] = value[1]
    for name, options in re.findall(r'<select id="[^"]*" name="([^"]*)">(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options)
        found[name] = chosen[1] if chosen else ""
    return {name: _plain(value) for name, value in found.items()}


def _plain(text: str) -> str:
    for word, letter in (("&#34;", '"'), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(word, letter)
    return text


def carried(html: str) -> bytes:
    """What the form of the mapping carries along, unpacked."""
    packed = re.search(r'name="found" value="([^"]*)"', html)
    assert packed is not None
    return zlib.decompress(base64.urlsafe_b64decode(packed[1])[32:])
