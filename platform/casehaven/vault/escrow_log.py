"""Where the steps of escrow are written down when no vault is at hand: a chained log and notices, in a folder.

1. The log is `escrow-log.jsonl`: one line of canonical JSON for each step, with the SHA-256 of the line before it. A line that is changed,
   dropped or moved breaks the chain; what cuts off the end does not, so each custodian's own log is the check on the others'.
2. A line is on disk before the step has an effect.
3. A notice is a text file for each recipient. Somebody has to send it: this software sends nothing by itself.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from casehaven.vault.errors import EscrowError
from casehaven.vault.escrow import EscrowEvent
from casesynth._files import sync_folder, write_whole
from casesynth.canonical import JsonFaultError, canonical_json, parse_json

LOG: Final = "escrow-log.jsonl"
FIRST: Final = "0" * 64

_WORDS: Final = {
    "escrow.create": "Keys of {organisation} were put into escrow.",
    "escrow.request": "Somebody asks to open the keys of {organisation} that are in escrow.",
    "escrow.answer": "A custodian handed over shares of the keys of {organisation}.",
    "escrow.open": "The keys of {organisation} that were in escrow are being opened.",
}


class EscrowLog:
    """The log and the notices of escrow in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def record(self, event: EscrowEvent) -> None:
        """Write a step to the log, and to disk (rule 2).

        Raises:
            EscrowError: it cannot be written, or the log was changed.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.folder / LOG, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "r+b") as log:
                fcntl.flock(log, fcntl.LOCK_EX)
                unverified = log.read()
                last = _verified(unverified, self.folder)[1]
                log.seek(unverified.rfind(b"\n") + 1)  # over a line that a kill cut short: its step had no effect
                log.truncate()
                log.write(canonical_json({"before": last, **_plain(event)}) + b"\n")
                log.flush()
                os.fsync(log.fileno())
            sync_folder(self.folder)
        except OSError as error:
            raise EscrowError(f"the log in {self.folder} cannot be written: {error.strerror}") from None

    def notify(self, event: EscrowEvent) -> None:
        """Write a notice for each recipient (rule 3).

        Raises:
            EscrowError: one cannot be written.
        """
        of = hashlib.sha256(canonical_json(_plain(event))).hexdigest()[
            :8
        ]  # two steps in one second have notices of their own
        name = f"{event.at.replace(':', '')}-{event.action.replace('.', '-')}-{of}"
        try:
            folder = self.folder / "notices"
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for number, recipient in enumerate(event.recipients, 1):
                text = _notice(event, recipient).encode()
                write_whole(folder / f"{name}-{number}.txt", text, mode=0o600, replace=True)
        except OSError as error:
            raise EscrowError(f"the notices in {self.folder} cannot be written: {error.strerror}") from None

    def events(self) -> tuple[dict[str, Any], ...]:
        """The steps in the log, checked.

        Raises:
            EscrowError: a line was changed, dropped or moved.
        """
        try:
            data = (self.folder / LOG).read_bytes()
        except FileNotFoundError:
            return ()
        return _verified(data, self.folder)[0]


def _verified(unverified: bytes, folder: Path) -> tuple[tuple[dict[str, Any], ...], str]:
    """The lines of a log and the digest of the last one."""
    last, found = FIRST, []
    for number, line in enumerate(unverified.split(b"\n")[:-1], 1):
        try:
            event = parse_json(line, LOG)
        except JsonFaultError:
            event = None
        if not isinstance(event, dict) or event.get("before") != last:
            raise EscrowError(f"{folder / LOG} was changed at line {number} or before it")
        last = hashlib.sha256(line).hexdigest()
        found.append(event)
    return tuple(found), last


def _plain(event: EscrowEvent) -> dict[str, Any]:
    return asdict(event)


def _notice(event: EscrowEvent, recipient: str) -> str:
    lines = [
        f"To: {recipient}",
        "",
        _WORDS[event.action].format(organisation=event.organisation),
        "",
        f"When: {event.at}",
        f"Packet: {event.packet_id}, epoch {event.epoch}",
    ]
    if event.request_id:
        lines += [
            f"Request: {event.request_id}",
            f"By: {event.requester}",
            f"Reason: {event.reason}",
            f"May be answered and opened from {event.opens_from} until {event.opens_until}.",
        ]
    lines += [f"Custodian: {custodian}" for custodian in event.custodians]
    lines += ["", "If you do not expect this, call the other custodians and the organisation now.", ""]
    return "\n".join(lines)
