"""Escrow: m of n custodians open an organisation's keys together, in the light and in time; fewer, others, earlier or later do not."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from casehaven.vault.context import SealContext
from casehaven.vault.custodian import Custodian, CustodianKey, parse_public_key, public_key_text
from casehaven.vault.envelope import seal_to
from casehaven.vault.errors import (
    CustodianKeyError,
    EpochError,
    EscrowError,
    EscrowExpiredError,
    KeystoreError,
    SealBrokenError,
)
from casehaven.vault.escrow import (
    EscrowEvent,
    answer_request,
    create_packet,
    open_packet,
    request_opening,
)
from casehaven.vault.escrow_log import LOG, EscrowLog
from casehaven.vault.escrow_packet import EscrowPacket, parse_packet
from casehaven.vault.escrow_request import EscrowAnswer, EscrowRequest, parse_answer, parse_request
from casehaven.vault.keystore import Keystore, RecoveredKeys
from casehaven.vault.rootkeys import HeldKey
from casehaven.vault.sealed import new_key
from casehaven.vault.shares import HOLDERS_MAX, Sharing, joined, split

NOW = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=25)
KEYSTORE_ID = "0" * 32
PERSON = SealContext(kind="person-key", organisation="north", dataset="cases", object_id="7")


def _recovered() -> RecoveredKeys:
    return RecoveredKeys(organisation="north", epoch="2026-11", epoch_key=new_key(), index_secret=new_key())


@dataclass
class Escrow:
    """A packet with its custodians, and what the log and the notices were told."""

    keys: RecoveredKeys
    held: list[CustodianKey]
    told: list[tuple[str, EscrowEvent]] = field(default_factory=list)
    packet: EscrowPacket = field(init=False)
    request: EscrowRequest = field(init=False)
    requester: CustodianKey = field(init=False)

    def log(self, event: EscrowEvent) -> None:
        """Keep what was logged."""
        self.told.append(("log", event))

    def notify(self, event: EscrowEvent) -> None:
        """Keep what was sent."""
        self.told.append(("notice", event))

    def answer(self, *numbers: int, now: datetime = LATER) -> list[EscrowAnswer]:
        """The answers of some custodians."""
        return [
            answer_request(self.packet, self.request, self.held[number], log=self.log, notify=self.notify, now=now)
            for number in numbers
        ]

    def open(self, answers: list[EscrowAnswer], now: datetime = LATER) -> RecoveredKeys:
        """Open the packet with answers."""
        return open_packet(
            self.packet, self.request, self.requester, answers, log=self.log, notify=self.notify, now=now
        )


def _custodians(held: list[CustodianKey]) -> list[Custodian]:
    return [
        Custodian(name=f"Office {number}", organisation=f"keeper-{number}", public_key=key.public_key)
        for number, key in enumerate(held)
    ]


def _escrow(holders: int, threshold: int) -> Escrow:
    made = Escrow(_recovered(), [CustodianKey.create() for _ in range(holders)])
    made.packet = create_packet(
        made.keys, KEYSTORE_ID, _custodians(made.held), threshold, log=made.log, notify=made.notify, now=NOW
    )
    made.request, made.requester = request_opening(
        made.packet, requester="the director", reason="the server burnt down", log=made.log, notify=made.notify, now=NOW
    )
    return made


@pytest.fixture
def escrow() -> Escrow:
    """Two of three."""
    return _escrow(3, 2)


# shares


@pytest.mark.parametrize(
    "sharing",
    [Sharing(holders=n, threshold=m) for n in range(2, HOLDERS_MAX + 1) for m in range(2, n + 1)],
    ids=lambda s: f"{s.threshold} of {s.holders}",
)
def test_every_group_of_m_holders_has_the_secret_and_no_smaller_group_has(sharing: Sharing) -> None:
    secret = new_key()
    made = split(secret, sharing)
    for size in range(sharing.holders + 1):
        for group in itertools.combinations(range(sharing.holders), size):
            found = joined(sharing, {holder: made.shares[holder] for holder in group}, made.digests)
            assert found == (secret if size >= sharing.threshold else None)


def test_a_false_share_is_not_joined_but_the_true_ones_of_others_are() -> None:
    sharing = Sharing(holders=3, threshold=2)
    secret = new_key()
    made = split(secret, sharing)
    false = (made.shares[1][0], new_key())
    assert joined(sharing, {0: made.shares[0], 1: false}, made.digests) is None
    assert joined(sharing, {0: made.shares[0], 1: made.shares[1][::-1]}, made.digests) is None
    assert joined(sharing, {0: made.shares[0], 1: false, 2: made.shares[2]}, made.digests) == secret


@pytest.mark.parametrize("threshold", [2, 3])
def test_the_shares_of_too_few_holders_are_random_bytes_whatever_the_secret(threshold: int) -> None:
    """With a secret of zeros, the shares of a group join to zeros only when none is lacking. A false alarm: below 2^-240."""
    sharing = Sharing(holders=3, threshold=threshold)
    for _ in range(2000 // threshold):
        made = split(bytes(32), sharing)
        for few in itertools.combinations(range(3), threshold - 1):
            for group in sharing.groups:
                held = [made.shares[h][sharing.groups_of(h).index(group)] for h in few if h in group]
                total = 0
                for share in held:
                    total ^= int.from_bytes(share, "big")
                assert not held or total != 0


def test_two_splits_of_one_secret_have_no_share_in_common() -> None:
    sharing = Sharing(holders=4, threshold=2)
    secret = new_key()
    one, other = ({s for each in split(secret, sharing).shares for s in each} for _ in range(2))
    assert len(one) == len(other) == 2 * len(sharing.groups)
    assert not one & other


@pytest.mark.parametrize(("holders", "threshold"), [(1, 1), (2, 1), (3, 4), (8, 2), (2, 0), (0, 0)])
def test_a_sharing_that_protects_nothing_or_grows_too_large_is_refused(holders: int, threshold: int) -> None:
    with pytest.raises(EscrowError, match="2 <= m <= n <= 7"):
        Sharing(holders=holders, threshold=threshold)


# the way through


@pytest.mark.parametrize(("holders", "threshold"), [(2, 2), (3, 2), (5, 3), (7, 4)])
def test_any_m_custodians_open_the_packet_and_fewer_do_not(holders: int, threshold: int) -> None:
    escrow = _escrow(holders, threshold)
    answers = escrow.answer(*range(holders))
    for size in range(holders + 1):
        for group in itertools.combinations(answers, size):
            if size >= threshold:
                assert escrow.open(list(group)) == escrow.keys
            else:
                with pytest.raises(EscrowError, match=f"{threshold} custodians are needed, {size} answered"):
                    escrow.open(list(group))


def test_packet_request_and_answers_survive_their_files(escrow: Escrow) -> None:
    escrow.packet = parse_packet(escrow.packet.to_bytes())
    escrow.request = parse_request(escrow.request.to_bytes())
    answers = [parse_answer(answer.to_bytes()) for answer in escrow.answer(0, 2)]
    assert escrow.open(answers) == escrow.keys


def test_recovered_keys_open_the_organisations_data_keys_in_a_new_keystore(tmp_path: Path) -> None:
    lost = Keystore.create(tmp_path / "lost", HeldKey(key=new_key()))
    north = lost.add_organisation("north", epoch="2026-11")
    dek = new_key()
    wrapped, index = north.wrap_dek(dek, PERSON), north.index_key("person-token")
    held = [CustodianKey.create() for _ in range(3)]
    escrow = Escrow(north.for_escrow(), held)
    escrow.packet = create_packet(
        escrow.keys, lost.keystore_id, _custodians(held), 2, log=escrow.log, notify=escrow.notify, now=NOW
    )
    escrow.request, escrow.requester = request_opening(
        escrow.packet, requester="north", reason="keys lost", log=escrow.log, notify=escrow.notify, now=NOW
    )
    recovered = escrow.open(escrow.answer(1, 2))

    new = Keystore.create(tmp_path / "new", HeldKey(key=new_key()))
    again = new.adopt(recovered)
    assert again.unwrap_dek(wrapped, "2026-11", PERSON) == dek
    assert again.index_key("person-token") == index
    assert new.linkage_key() != lost.linkage_key()
    with pytest.raises(KeystoreError, match="already"):
        new.adopt(recovered)
    new.rotate_organisation("north")
    again.begin_epoch("2026-12")
    again.retire_epoch("2026-11")


def test_a_packet_holds_the_epoch_in_use_only(tmp_path: Path) -> None:
    north = Keystore.create(tmp_path / "keys", HeldKey(key=new_key())).add_organisation("north", epoch="2026-10")
    old = north.for_escrow()
    north.begin_epoch("2026-11")
    with pytest.raises(EpochError, match="between two epochs"):
        north.for_escrow()
    north.retire_epoch("2026-10")
    new = north.for_escrow()
    assert new.epoch == "2026-11"
    assert new.epoch_key != old.epoch_key
    assert old.epoch_key != new.index_secret


# who may not


def test_custodians_of_one_organisation_are_refused() -> None:
    held = [CustodianKey.create() for _ in range(3)]
    for what, same in (
        ("organisation", {"organisation": "keeper-1"}),
        ("name", {"name": "Office 1"}),
        ("public key", {"public_key": held[1].public_key}),
    ):
        custodians = _custodians(held)
        custodians[0] = replace(custodians[0], **same)
        with pytest.raises(EscrowError, match=f"the same {what}"):
            create_packet(_recovered(), KEYSTORE_ID, custodians, 2, log=print, notify=print)


def test_a_key_of_no_custodian_answers_nothing(escrow: Escrow) -> None:
    escrow.held[0] = CustodianKey.create()
    with pytest.raises(EscrowError, match="no custodian"):
        escrow.answer(0)


def test_one_custodian_cannot_answer_for_another_or_twice(escrow: Escrow) -> None:
    (first,) = escrow.answer(0)
    for answers in ([first, first], [first, replace(first, number=1)]):
        with pytest.raises(EscrowError, match="1 answered"):
            escrow.open(answers)
    with pytest.raises(EscrowError, match="no custodian"):
        escrow.open([first, replace(first, number=3)])


def test_made_up_shares_are_found_and_their_custodian_is_named(escrow: Escrow) -> None:
    first, second, third = escrow.answer(0, 1, 2)
    invented = seal_to(escrow.request.public_key, new_key() * 2, escrow.request.context(2))
    false = replace(second, shares=invented)
    with pytest.raises(EscrowError, match="not true: Office 1, keeper-1"):
        escrow.open([first, false])
    assert escrow.open([first, false, third]) == escrow.keys


def test_an_answer_to_one_request_is_none_to_another(escrow: Escrow) -> None:
    answers = escrow.answer(0, 1)
    escrow.request, escrow.requester = request_opening(
        escrow.packet, requester="another", reason="another", log=escrow.log, notify=escrow.notify, now=NOW
    )
    with pytest.raises(EscrowError, match="0 answered"):
        escrow.open(answers)
    with pytest.raises(EscrowError, match="0 answered"):
        escrow.open([replace(answer, request_sha256=escrow.request.sha256) for answer in answers])


def test_only_the_requester_opens_answers(escrow: Escrow) -> None:
    answers = escrow.answer(0, 1)
    escrow.requester = CustodianKey.create()
    with pytest.raises(EscrowError, match="not the key of the request"):
        escrow.open(answers)
    escrow.request = replace(escrow.request, public_key=escrow.requester.public_key)
    with pytest.raises(EscrowError, match="0 answered"):
        escrow.open(answers)


def test_a_request_for_another_packet_is_refused(escrow: Escrow) -> None:
    other = _escrow(3, 2)
    escrow.packet = other.packet
    with pytest.raises(EscrowError, match="another escrow packet"):
        escrow.answer(0)
    with pytest.raises(EscrowError, match="another escrow packet"):
        escrow.open([])


@pytest.mark.parametrize(
    "change",
    [
        lambda d: {**d, "organisation": "south"},
        lambda d: {**d, "epoch": "2026-12"},
        lambda d: {**d, "threshold": 3},
        lambda d: {**d, "keystore_id": "1" * 32},
        lambda d: {**d, "created_at": "2020-01-01T00:00:00Z"},
        lambda d: {**d, "custodians": d["custodians"][::-1]},
        lambda d: {**d, "shares": d["shares"][::-1]},
        lambda d: {**d, "digests": d["digests"][::-1]},
        lambda d: {**d, "body": d["shares"][0]},
        lambda d: {**d, "more": 1},
        lambda d: {**d, "threshold": 1},
        lambda d: {**d, "shares": d["shares"][:2]},
        lambda d: {**d, "format": "casehaven-escrow/2"},
        lambda d: [],
    ],
)
def test_a_packet_that_was_changed_opens_nothing(escrow: Escrow, change: Callable[[Any], Any]) -> None:
    data = json.dumps(change(json.loads(escrow.packet.to_bytes()))).encode()
    with pytest.raises((EscrowError, SealBrokenError)):
        escrow.packet = parse_packet(data)
        escrow.request, escrow.requester = request_opening(
            escrow.packet, requester="x", reason="x", log=escrow.log, notify=escrow.notify, now=NOW
        )
        escrow.open(escrow.answer(0, 1, 2))


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b'{"format": "casehaven-escrow/1"}', b"\xff"])
@pytest.mark.parametrize("parse", [parse_packet, parse_request, parse_answer])
def test_files_that_are_something_else_are_refused(parse: Callable[[bytes], object], data: bytes) -> None:
    with pytest.raises(EscrowError):
        parse(data)


# in time


def test_a_request_waits_a_day_and_then_is_open_for_three(escrow: Escrow) -> None:
    begins, ends = NOW + timedelta(hours=24), NOW + timedelta(hours=96)
    second = timedelta(seconds=1)
    answers = escrow.answer(0, now=begins) + escrow.answer(1, now=ends - second)
    for moment, says in ((NOW, "from"), (begins - second, "from"), (ends, "over"), (ends + timedelta(days=9), "over")):
        with pytest.raises(EscrowExpiredError, match=says):
            escrow.answer(2, now=moment)
        with pytest.raises(EscrowExpiredError, match=says):
            escrow.open(answers, now=moment)
    assert escrow.open(answers, now=begins) == escrow.open(answers, now=ends - second) == escrow.keys


@pytest.mark.parametrize(
    "wrong",
    [
        {"reason": ""},
        {"reason": " "},
        {"reason": "x" * 501},
        {"reason": "two\nlines"},
        {"requester": ""},
        {"open_for": timedelta(days=15)},
        {"open_for": timedelta(0)},
        {"wait": timedelta(seconds=-1)},
    ],
    ids=str,
)
def test_a_request_without_a_reason_or_without_an_end_is_refused(escrow: Escrow, wrong: dict[str, Any]) -> None:
    asked = {"requester": "x", "reason": "x", **wrong}
    with pytest.raises(EscrowError):
        request_opening(escrow.packet, log=escrow.log, notify=escrow.notify, **asked)


def test_moving_the_times_of_a_request_makes_it_another_request(escrow: Escrow) -> None:
    answers = escrow.answer(0, 1)
    escrow.request = replace(escrow.request, opens_until="2026-12-05T00:00:00Z")
    for given in (answers, [replace(answer, request_sha256=escrow.request.sha256) for answer in answers]):
        with pytest.raises(EscrowError, match="0 answered"):
            escrow.open(given, now=NOW + timedelta(days=10))


# in the light


def test_every_step_is_logged_and_then_told_to_all_custodians_and_the_organisation(escrow: Escrow) -> None:
    escrow.open(escrow.answer(0, 2))
    steps = ["escrow.create", "escrow.request", "escrow.answer", "escrow.answer", "escrow.open"]
    assert [(how, event.action) for how, event in escrow.told] == [(h, s) for s in steps for h in ("log", "notice")]
    everybody = ("Office 0, keeper-0", "Office 1, keeper-1", "Office 2, keeper-2", "north")
    assert {event.recipients for _, event in escrow.told} == {everybody}
    last = escrow.told[-1][1]
    assert last.custodians == ("Office 0, keeper-0", "Office 2, keeper-2")
    assert (last.requester, last.reason) == ("the director", "the server burnt down")


@pytest.mark.parametrize("broken", ["log", "notify"])
def test_a_log_or_notice_that_fails_stops_every_step(escrow: Escrow, broken: str) -> None:
    def fails(event: EscrowEvent) -> None:
        raise EscrowError("no room")

    told: dict[str, Any] = {"log": escrow.log, "notify": escrow.notify, broken: fails, "now": LATER}
    answers = escrow.answer(0, 1)
    steps: list[Callable[[], object]] = [
        lambda: create_packet(escrow.keys, KEYSTORE_ID, _custodians(escrow.held), 2, **told),
        lambda: request_opening(escrow.packet, requester="x", reason="x", **told),
        lambda: answer_request(escrow.packet, escrow.request, escrow.held[0], **told),
        lambda: open_packet(escrow.packet, escrow.request, escrow.requester, answers, **told),
    ]
    for step in steps:
        with pytest.raises(EscrowError, match="no room"):
            step()


def test_the_log_is_a_chain_and_notices_are_for_everybody(escrow: Escrow, tmp_path: Path) -> None:
    log = EscrowLog(tmp_path / "escrow")
    assert log.events() == ()
    escrow.answer(0)
    for how, event in escrow.told:
        (log.record if how == "log" else log.notify)(event)
    assert [event["action"] for event in log.events()] == ["escrow.create", "escrow.request", "escrow.answer"]
    notices = [path.read_text(encoding="utf-8") for path in (tmp_path / "escrow" / "notices").iterdir()]
    assert len(notices) == 3 * 4
    for recipient in escrow.packet.recipients:
        assert sum(f"To: {recipient}\n" in notice for notice in notices) == 3
    assert sum("the server burnt down" in notice for notice in notices) == 2 * 4


@pytest.mark.parametrize("change", ["altered", "dropped", "moved", "doubled"])
def test_a_changed_log_is_noticed_and_nothing_is_added_to_it(escrow: Escrow, tmp_path: Path, change: str) -> None:
    log = EscrowLog(tmp_path)
    escrow.answer(0, 1)
    events = [event for how, event in escrow.told if how == "log"]
    for event in events:
        log.record(event)
    lines = (tmp_path / LOG).read_bytes().splitlines(keepends=True)
    changed = {
        "altered": [lines[0].replace(b"escrow.create", b"escrow.nothing"), *lines[1:]],
        "dropped": lines[1:],
        "moved": [lines[0], lines[2], lines[1], *lines[3:]],
        "doubled": [lines[0], *lines],
    }[change]
    (tmp_path / LOG).write_bytes(b"".join(changed))
    with pytest.raises(EscrowError, match="was changed"):
        log.events()
    with pytest.raises(EscrowError, match="was changed"):
        log.record(events[0])


def test_a_line_that_a_kill_cut_short_gives_way_to_the_next(escrow: Escrow, tmp_path: Path) -> None:
    log = EscrowLog(tmp_path)
    events = [event for how, event in escrow.told if how == "log"]
    log.record(events[0])
    whole = (tmp_path / LOG).read_bytes()
    log.record(events[1])
    second = (tmp_path / LOG).read_bytes()[len(whole) :]
    for length in range(len(second)):
        (tmp_path / LOG).write_bytes(whole + second[:length])
        assert [event["action"] for event in log.events()] == ["escrow.create"]
    log.record(events[1])
    assert (tmp_path / LOG).read_bytes() == whole + second


def test_no_key_and_no_share_is_in_the_packet_the_papers_the_log_or_a_repr(escrow: Escrow, tmp_path: Path) -> None:
    log = EscrowLog(tmp_path)
    answers = escrow.answer(0, 1)
    escrow.open(answers)
    for how, event in escrow.told:
        (log.record if how == "log" else log.notify)(event)
    written = [escrow.packet.to_bytes(), escrow.request.to_bytes(), *(answer.to_bytes() for answer in answers)]
    written += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    written += [f"{escrow.packet!r} {escrow.request!r} {escrow.keys!r} {escrow.held!r} {answers!r}".encode()]
    secrets = [escrow.keys.epoch_key, escrow.keys.index_secret]
    secrets += [escrow.requester.private, *(key.private for key in escrow.held)]
    for secret in secrets:
        for form in (secret, secret.hex().encode(), base64.b64encode(secret)[:42], repr(secret).encode()):
            assert all(form not in data for data in written)


# custodians' keys


def test_a_custodians_key_is_kept_with_and_without_a_passphrase(tmp_path: Path) -> None:
    key = CustodianKey.create()
    for name, passphrase in (("bare.pem", None), ("kept.pem", b"a passphrase")):
        key.save(tmp_path / name, passphrase)
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
        assert CustodianKey.load(tmp_path / name, passphrase).private == key.private
        with pytest.raises(CustodianKeyError, match="never overwritten"):
            key.save(tmp_path / name)
    for name, passphrase, says in (
        ("bare.pem", b"x", "no passphrase"),
        ("kept.pem", None, "needs a passphrase"),
        ("kept.pem", b"wrong", "does not open"),
        ("none.pem", None, "no custodian's key"),
    ):
        with pytest.raises(CustodianKeyError, match=says):
            CustodianKey.load(tmp_path / name, passphrase)
    (tmp_path / "bare.pem").chmod(0o644)
    with pytest.raises(CustodianKeyError, match="0644"):
        CustodianKey.load(tmp_path / "bare.pem")
    with pytest.raises(CustodianKeyError, match="empty"):
        key.save(tmp_path / "other.pem", b"")


@pytest.mark.parametrize(
    "text", ["", "casehaven-custodian/1:", "casehaven-custodian/1:AAAA", "AAAA", "casehaven-custodian/1:ä"]
)
def test_text_that_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(CustodianKeyError):
        parse_public_key(text)
    assert parse_public_key(public_key_text(bytes(range(32))) + "\n") == bytes(range(32))


@pytest.mark.parametrize("name", ["", "a\nb", "<b>", "x" * 81, " a", "a "])
def test_a_custodians_name_is_plain_text(name: str) -> None:
    with pytest.raises(EscrowError):
        Custodian(name=name, organisation="keeper", public_key=bytes(32))
