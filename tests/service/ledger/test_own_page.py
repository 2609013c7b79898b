"""The page of an organisation's own ledger shows what the ledger tells, as numbers and as a picture of as many steps."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from tests.service.ledger.conftest import CAP

from casehaven.ledger import AnalystId
from casehaven.ledger.own import own_ledger
from casehaven.web.forms import Form, blank_form
from casehaven.web.ledger_page import shown
from casehaven.web.render import rendered
from casehaven.web.words import LANGUAGES, Words

if TYPE_CHECKING:
    from tests.service.ledger.conftest import Desk


@dataclass
class Lectern:
    """What a template asks of a desk, for a reader who is not signed in."""

    words: Words
    session: None = None
    menu: tuple[Any, ...] = ()
    request: Any = field(
        default_factory=lambda: SimpleNamespace(
            query_params=SimpleNamespace(multi_items=list), url=SimpleNamespace(path="/ledger")
        )
    )

    def may(self, operation: str) -> bool:
        return True

    def blank(self, **values: str) -> Form:
        return blank_form("", values)


@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_page_of_the_own_ledger_shows_every_number_and_as_many_steps(desk: Desk, language: str) -> None:
    for day, sixteenths, purpose in (("08-01", 2.2, "pooled_statistics"), ("10-05", 4, "synthetic_release")):
        ledger = desk.open(clock=lambda day=day: f"2026-{day}T00:00:00Z")
        ledger.begin_draw(desk.charge(int(CAP * sixteenths / 16), ledger=ledger, purpose=purpose))
    desk.open().set_allowance(AnalystId(text="amina"), "north/cases", CAP // 4)
    found: Any = own_ledger(desk.open(), "north", today=date(2026, 11, 20))
    words = Words(language=LANGUAGES[language])
    html = rendered("ledger/show.html", desk=Lectern(words=words), form=None, **shown(found))  # type: ignore[arg-type]  # a stand-in
    plain = re.sub(r"<[^>]+>", "", html)
    spent = next(row for row in found["accounts"] if row["block"] == "2021")
    assert (spent["spent_parts"], spent["purposes"]) == (7, {"pooled_statistics": 3, "synthetic_release": 4})
    for parts in (3, 4, 7):
        assert words.text("ledger.parts", parts=parts, steps=16) in plain
    assert words.text("ledger.purpose_synthetic_release") in plain
    assert str(spent["epsilon_at_most"]) in plain
    assert "amina" in plain
    pictures = [
        (found.count('class="bar-chosen"'), found.count('class="track"'))
        for found in re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    ]
    assert (7, 9) in pictures and (3, 13) in pictures
    assert all(full + free == 16 for full, free in pictures)
