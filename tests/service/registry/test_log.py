"""The public log as bytes: what is whole, and what is refused although every signature fits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from casehaven.registry.errors import RegistryLogError
from casehaven.registry.log import FIRST, LINE_MOST, SignedEntry, head, new_entry, parse_line, verify_log
from casesynth.canonical import canonical_json
from casesynth.signing import SigningKey

KEY = SigningKey.create()
RECORDS = [f"CHV-0000-0000-000{digit}.v1" for digit in "012"]


def signed(**fields: Any) -> SignedEntry:
    """Return an entry with any fields, signed."""
    entry = {
        "format": "casehaven-registry-log/1",
        "position": 0,
        "previous": FIRST,
        "at": "2026-11-23T09:00:00Z",
        "kind": "published",
        "record": RECORDS[0],
        "title": "One",
        "manifest_sha256": "a" * 64,
        "reason": None,
        **fields,
    }
    return SignedEntry(entry=entry, public_key=KEY.public_key, signature=KEY.sign_registry_entry(canonical_json(entry)))


def grown(*steps: tuple[str, str]) -> list[SignedEntry]:
    """Return a log of these steps."""
    entries: list[SignedEntry] = []
    for place, (kind, record) in enumerate(steps):
        entries.append(
            new_entry(
                entries[-1] if entries else None,
                KEY,
                at=f"2026-11-23T09:00:0{place}Z",
                kind="withdrawn" if kind == "withdrawn" else "published",
                record=record,
                title="One",
                manifest_sha256="a" * 64,
                reason="an error" if kind == "withdrawn" else None,
            )
        )
    return entries


def test_a_log_that_grew_is_whole_and_is_read_as_it_was_written() -> None:
    entries = grown(("published", RECORDS[0]), ("published", RECORDS[1]), ("withdrawn", RECORDS[0]))
    read = verify_log(parse_line(canonical_json(each.document())) for each in entries)
    assert list(read) == entries and head(read) == f"3 entries, the last {entries[-1].digest}"


def test_an_entry_is_not_left_out_even_by_whoever_has_the_key() -> None:
    first, second, third = grown(("published", RECORDS[0]), ("published", RECORDS[1]), ("published", RECORDS[2]))
    moved = signed(**{**third.entry, "position": 1})  # signed anew at another place, with what it held before it
    for entries in ([first, third], [first, moved], [second, third], [first, third, second]):
        with pytest.raises(RegistryLogError, match="does not follow"):
            verify_log(entries)


@pytest.mark.parametrize(
    "steps",
    [
        [("published", RECORDS[0]), ("published", RECORDS[0])],
        [("withdrawn", RECORDS[0])],
        [("published", RECORDS[0]), ("withdrawn", RECORDS[1])],
        [("published", RECORDS[0]), ("withdrawn", RECORDS[0]), ("withdrawn", RECORDS[0])],
        [("published", RECORDS[0]), ("withdrawn", RECORDS[0]), ("published", RECORDS[0])],
    ],
)
def test_a_record_is_published_once_and_withdrawn_once(steps: list[tuple[str, str]]) -> None:
    with pytest.raises(RegistryLogError, match="publishes twice, or withdraws"):
        verify_log(grown(*steps))


def test_dates_do_not_go_back() -> None:
    first = signed(at="2026-11-23T09:00:01Z")
    with pytest.raises(RegistryLogError, match="dated before"):
        verify_log([first, signed(position=1, previous=first.digest, record=RECORDS[1])])


def test_an_entry_under_another_key_or_another_signature_does_not_fit() -> None:
    entry = signed()
    for broken in (
        replace(entry, public_key=SigningKey.create().public_key),
        replace(entry, signature=KEY.sign_decision(canonical_json(dict(entry.entry)))),
    ):
        with pytest.raises(RegistryLogError, match="signature"):
            verify_log([broken])


@pytest.mark.parametrize(
    "fields",
    [
        {"format": "casehaven-registry-log/2"},
        {"position": "0"},
        {"previous": "0"},
        {"at": "yesterday"},
        {"kind": "deleted"},
        {"record": "CHV-0000-0000-0000"},
        {"record": "../x.v1"},
        {"manifest_sha256": "A" * 64},
        {"reason": "why"},
        {"kind": "withdrawn"},
        {"more": 1},
        {"title": "x" * LINE_MOST},
    ],
)
def test_a_line_of_another_form_is_none(fields: dict[str, Any]) -> None:
    with pytest.raises(RegistryLogError):
        parse_line(canonical_json(signed(**fields).document()))


@pytest.mark.parametrize("line", [b"", b"{}", b"[]", b'{"entry":{},"public_key":"","signature":""}', b"\xff"])
def test_what_is_no_line_is_refused(line: bytes) -> None:
    with pytest.raises(RegistryLogError):
        parse_line(line)
