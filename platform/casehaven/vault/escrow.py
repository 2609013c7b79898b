"""Escrow: an organisation's keys in a packet that m of n custodians in different organisations can open together, and nobody else.

1. A packet holds what opens the organisation's present data: the key of the epoch in use and the index secret. It holds no older epoch, no key
   of the vault, and not the organisation key. When the epoch is retired the packet opens nothing in the database any more; a new packet is
   made. (An old packet with an old backup does: custodians destroy old packets. That is a named limit.)
2. The keys are sealed with a fresh escrow key. It is split as in `casehaven.vault.shares`; each custodian's shares are sealed to the
   custodian's public key. Custodians are in different organisations, two at least are needed.
3. It is opened in the light: somebody writes a *request* with a reason and two times, custodians see it and *answer* it, the requester opens
   the packet with the answers. A request may be answered and opened from its first time on, a day after it was made unless said otherwise, and until
   its second, at most 14 days later.
4. Each step is written to a log and notices go to all custodians and to the organisation *before* the step has an effect. A log or a notice
   that fails stops the step.
5. A custodian answers to the key of one request only: an answer opens for that requester, and for no other request.
6. Software cannot hold m custodians who agree: with their keys they can open the packet in silence. Different organisations are the defence.

The times are those of the clocks of whoever answers and opens.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from casehaven.vault.custodian import Custodian, CustodianKey
from casehaven.vault.envelope import open_with, seal_to
from casehaven.vault.errors import EscrowError, SealBrokenError
from casehaven.vault.escrow_fields import or_now, written
from casehaven.vault.escrow_packet import EscrowPacket, named
from casehaven.vault.escrow_request import EscrowAnswer, EscrowRequest
from casehaven.vault.keystore import RecoveredKeys
from casehaven.vault.sealed import KEY_BYTES, new_key, seal, unseal
from casehaven.vault.shares import Sharing, is_true, joined, split

WAIT: Final = timedelta(hours=24)
OPEN_FOR: Final = timedelta(hours=72)


@dataclass(frozen=True, kw_only=True)
class EscrowEvent:
    """A step of escrow, for the log and for the notices (rule 4). It carries no key and no share."""

    action: str
    """`escrow.create`, `escrow.request`, `escrow.answer` or `escrow.open`."""
    at: str
    """When, in UTC."""
    organisation: str
    """Whose keys."""
    epoch: str
    """Of the packet."""
    packet_id: str
    """Of the packet."""
    recipients: tuple[str, ...]
    """Who gets a notice: the custodians, as `name, organisation`, and the organisation itself."""
    request_id: str = ""
    """Of the request; empty before there is one."""
    custodians: tuple[str, ...] = ()
    """Who answered, or whose answers opened the packet."""
    requester: str = ""
    """Who asks."""
    reason: str = ""
    """Why, in the requester's words."""
    opens_from: str = ""
    """First moment at which the request may be answered."""
    opens_until: str = ""
    """End of the time in which it may be."""


Witness = Callable[[EscrowEvent], None]
"""Writes a step down for good, or tells people of it; it raises when it cannot."""


def create_packet(
    keys: RecoveredKeys,
    keystore_id: str,
    custodians: Sequence[Custodian],
    threshold: int,
    *,
    log: Witness,
    notify: Witness,
    now: datetime | None = None,
) -> EscrowPacket:
    """Put an organisation's keys into escrow.

    Args:
        keys: those of `OrganisationKeys.for_escrow`.
        keystore_id: of the keystore.
        custodians: 2 to 7, in different organisations, their keys compared by voice.
        threshold: how many of them are needed, 2 at least.
        log: writes the step down before the packet exists.
        notify: tells the custodians and the organisation.
        now: the time.

    Raises:
        EscrowError: too few or too many custodians, or two in one organisation.
    """
    escrow_key = new_key()
    made = split(escrow_key, Sharing(holders=len(custodians), threshold=threshold))
    packet = EscrowPacket(
        packet_id=secrets.token_hex(16),
        keystore_id=keystore_id,
        organisation=keys.organisation,
        epoch=keys.epoch,
        created_at=written(now),
        threshold=threshold,
        custodians=tuple(custodians),
        digests=made.digests,
    )
    envelopes = tuple(
        seal_to(custodian.public_key, b"".join(made.shares[number]), packet.context(number + 1))
        for number, custodian in enumerate(custodians)
    )
    content = keys.epoch_key + keys.index_secret
    packet = replace(packet, shares=envelopes, body=seal(escrow_key, content, packet.context(0)))
    _tell(_event("escrow.create", packet, at=packet.created_at), log, notify)
    return packet


def request_opening(
    packet: EscrowPacket,
    *,
    requester: str,
    reason: str,
    log: Witness,
    notify: Witness,
    wait: timedelta = WAIT,
    open_for: timedelta = OPEN_FOR,
    now: datetime | None = None,
) -> tuple[EscrowRequest, CustodianKey]:
    """Ask the custodians to open a packet.

    Args:
        packet: which one.
        requester: who asks.
        reason: why; nothing about a person in the records.
        log: writes the step down.
        notify: tells the custodians and the organisation.
        wait: how long they have before it may be answered.
        open_for: how long it may be answered and opened after that, at most 14 days.
        now: the time.

    Returns:
        The request, for the custodians, and the key that opens their answers, for the requester alone.

    Raises:
        EscrowError: no reason, or a time that is too long.
    """
    if wait < timedelta(0):
        raise EscrowError("the wait of a request cannot be negative")
    moment = or_now(now)
    key = CustodianKey.create()
    request = EscrowRequest(
        request_id=secrets.token_hex(16),
        packet_sha256=packet.sha256,
        organisation=packet.organisation,
        requester=requester,
        reason=reason,
        opens_from=written(moment + wait),
        opens_until=written(moment + wait + open_for),
        public_key=key.public_key,
    )
    _tell(_event("escrow.request", packet, request, at=written(moment)), log, notify)
    return request, key


def answer_request(
    packet: EscrowPacket,
    request: EscrowRequest,
    key: CustodianKey,
    *,
    log: Witness,
    notify: Witness,
    now: datetime | None = None,
) -> EscrowAnswer:
    """Hand a custodian's shares to the requester. The custodian has read the reason and compared the request's digest by voice.

    Raises:
        EscrowExpiredError: the request's time has not begun, or is over.
        EscrowError: the request is for another packet, or the key is of no custodian of it.
    """
    moment = or_now(now)
    _check_fits(packet, request)
    request.check_time(moment)
    number = packet.number_of(key.public_key)
    shares = open_with(key.private, packet.shares[number], packet.context(number + 1))
    if not is_true(packet.sharing, number, _cut(shares), packet.digests):
        raise EscrowError("the packet's shares for this custodian are not those that it was made with")
    _tell(_event("escrow.answer", packet, request, at=written(moment), numbers=[number]), log, notify)
    sealed = seal_to(request.public_key, shares, request.context(number + 1))
    return EscrowAnswer(request_sha256=request.sha256, number=number, shares=sealed)


def open_packet(
    packet: EscrowPacket,
    request: EscrowRequest,
    key: CustodianKey,
    answers: Iterable[EscrowAnswer],
    *,
    log: Witness,
    notify: Witness,
    now: datetime | None = None,
) -> RecoveredKeys:
    """Open a packet with the answers of m custodians.

    Raises:
        EscrowExpiredError: the request's time has not begun, or is over.
        EscrowError: fewer than m answers are true; the message names the custodians whose answers are not.
    """
    moment = or_now(now)
    _check_fits(packet, request)
    request.check_time(moment)
    if key.public_key != request.public_key:
        raise EscrowError("this is not the key of the request")
    given: dict[int, tuple[bytes, ...]] = {}
    false: set[int] = set()
    for answer in answers:
        if answer.number >= len(packet.custodians):
            raise EscrowError("an answer is of no custodian of the packet")
        shares = _open_answer(request, key, answer)
        if is_true(packet.sharing, answer.number, shares, packet.digests):
            given[answer.number] = shares
        else:
            false.add(answer.number)
    escrow_key = joined(packet.sharing, given, packet.digests)
    if escrow_key is None:
        wrong = ", ".join(named(packet.custodians[number]) for number in sorted(false - set(given)))
        raise EscrowError(
            f"{packet.threshold} custodians are needed, {len(given)} answered"
            + (f"; not true: {wrong}" if wrong else "")
        )
    _tell(_event("escrow.open", packet, request, at=written(moment), numbers=sorted(given)), log, notify)
    content = unseal(escrow_key, packet.body, packet.context(0))
    epoch_key, index_secret = _cut(content)
    return RecoveredKeys(
        organisation=packet.organisation,
        epoch=packet.epoch,
        epoch_key=epoch_key,
        index_secret=index_secret,
    )


def _open_answer(request: EscrowRequest, key: CustodianKey, answer: EscrowAnswer) -> tuple[bytes, ...]:
    """The shares of an answer; none when it is not one to this request."""
    if answer.request_sha256 != request.sha256:
        return ()
    try:
        return _cut(open_with(key.private, answer.shares, request.context(answer.number + 1)))
    except SealBrokenError:
        return ()


def _check_fits(packet: EscrowPacket, request: EscrowRequest) -> None:
    if request.packet_sha256 != packet.sha256 or request.organisation != packet.organisation:
        raise EscrowError("the request is for another escrow packet")


def _tell(event: EscrowEvent, log: Witness, notify: Witness) -> None:
    log(event)  # rule 4: both, before the step has an effect
    notify(event)


def _event(
    action: str,
    packet: EscrowPacket,
    request: EscrowRequest | None = None,
    *,
    at: str,
    numbers: Sequence[int] = (),
) -> EscrowEvent:
    asked: Mapping[str, str] = (
        {}
        if request is None
        else {
            "request_id": request.request_id,
            "requester": request.requester,
            "reason": request.reason,
            "opens_from": request.opens_from,
            "opens_until": request.opens_until,
        }
    )
    return EscrowEvent(
        action=action,
        at=at,
        organisation=packet.organisation,
        epoch=packet.epoch,
        packet_id=packet.packet_id,
        recipients=packet.recipients,
        custodians=tuple(named(packet.custodians[number]) for number in numbers),
        **asked,
    )


def _cut(data: bytes) -> tuple[bytes, ...]:
    return tuple(data[start : start + KEY_BYTES] for start in range(0, len(data), KEY_BYTES))
