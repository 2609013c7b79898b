"""The flows: every place that personal data passes, in what form, who can read it there, and what shows that. True of the software in any installation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from casesynth.canonical import JsonValue


@dataclass(frozen=True, kw_only=True)
class Flow:
    """One step of the data's way."""

    source: str
    target: str
    data: str
    """What passes, and in what form."""
    readers: str
    """Who can read it there."""
    proof: str
    """A document of this repository."""


EVERYWHERE: Final = "every step"

FLOWS: Final = (
    Flow(
        source="organisation's own tool",
        target="casehaven prepare, at the organisation",
        data="case file in the clear, on the organisation's own machine",
        readers="the organisation",
        proof="docs/spec/prepare.md",
    ),
    Flow(
        source="organisation",
        target="upload",
        data="records sealed to the organisation's public key; prepared files hold no names and no free text, and keyed tokens in the place of person keys",
        readers="nobody on the way; a raw file that is sent to the service passes through the api in the clear and is sealed while it arrives",
        proof="docs/spec/intake.md",
    ),
    Flow(
        source="upload",
        target="vault",
        data="read in a process that can open nothing else, checked, and sealed under a key for each person; the upload is destroyed",
        readers="the worker, while it reads; people with a role that opens records, with a reason that is logged",
        proof="docs/spec/vault.md",
    ),
    Flow(
        source="vault",
        target="person page, correction, export",
        data="one person's records, for the organisation that holds them",
        readers="caseworkers and stewards of that organisation, after a second factor; every look-up is in the audit log",
        proof="docs/spec/people.md",
    ),
    Flow(
        source="vault",
        target="own statistics",
        data="exact tables of people who consented to own statistics; marked not for release",
        readers="stewards of that organisation",
        proof="docs/spec/people.md",
    ),
    Flow(
        source="vault",
        target="answers and releases",
        data="counts with discrete Gaussian noise, charged to the ledger before a record is opened; nothing after the noise sees a record",
        readers="whoever is told an answer; everybody, for what is published",
        proof="docs/spec/privacy.md",
    ),
    Flow(
        source="vault",
        target="backup",
        data="sealed bytes; keys are apart, and keys of a month that is over are not in a later backup of keys",
        readers="nobody without the root key",
        proof="docs/spec/backup.md",
    ),
    Flow(
        source=EVERYWHERE,
        target="audit log",
        data="who did what, when and why; people as keyed hashes, reasons sealed",
        readers="privacy officers and stewards of the organisation; partners hold checkpoints that show a change and hold no personal data",
        proof="docs/spec/audit.md",
    ),
)


def flows() -> list[JsonValue]:
    """Return the flows as data."""
    return [
        {"from": one.source, "to": one.target, "data": one.data, "readers": one.readers, "proof": one.proof}
        for one in FLOWS
    ]
