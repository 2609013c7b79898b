"""Evidence for an impact assessment, `casehaven-dpia/1`: inventory, flows, ledger, settings, agreements, and what the software cannot defend.

1. It opens no record: schemas, declarations, the ledger's public statement and settings are all it reads. So it says nothing about how many people there are (privacy rule 5).
2. It is evidence, not the assessment: whether the processing is needed and in proportion, what the people concerned say, and who decides, is for people to write. The questions that are left to
   them stand in it, unanswered.
3. Attack results compare with real people. They are in an annex of their own, sealed, after the decision about the release is final (privacy rule 33).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from typing import Final

from casehaven.dpia.flows import flows
from casehaven.dpia.inventory import inventory
from casehaven.vault.datasets import Dataset
from casesynth.aggregates import LOWEST_END, MINIMUM
from casesynth.canonical import JsonValue

FORMAT: Final = "casehaven-dpia/1"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How something is set in this installation, and what the choice means."""

    name: str
    value: str
    meaning: str


@dataclass(frozen=True, kw_only=True)
class Duty:
    """A duty of data protection law, what of it the software does, and what is left to people."""

    duty: str
    article: str
    provided: str
    left: str


DUTIES: Final = (
    Duty(
        duty="legal basis for special-category and offence data",
        article="GDPR 6, 9, 10",
        provided="consent or a recorded legal basis per record and purpose; not shared unless somebody said yes; what is not understood is a refusal",
        left="name the legal basis of each purpose, and who checked it",
    ),
    Duty(
        duty="consent that is informed and can be withdrawn",
        article="GDPR 7",
        provided="versions with date and language; a withdrawal counts from the next count on, and no later file undoes it",
        left="the consent text says that published releases stay; say where it is and in which languages",
    ),
    Duty(
        duty="minimisation and retention",
        article="GDPR 5",
        provided="identifiers and free text never leave the vault; retention dates per person; tables over public value lists only",
        left="say how long records are kept and why",
    ),
    Duty(
        duty="access, rectification, portability, erasure",
        article="GDPR 15 to 20",
        provided="show, correct with history, export one person; erasure destroys the person's key, with a signed receipt",
        left="say how somebody asks, and how they are recognised without being endangered",
    ),
    Duty(
        duty="security of processing",
        article="GDPR 32",
        provided="a key for each person, authenticated encryption, root key apart, audit log with checkpoints outside, restore drill",
        left="say who holds the root key and the backups, and when the last drill was",
    ),
    Duty(
        duty="joint controllers, processors, transfers",
        article="GDPR 26, 28, 44",
        provided="no pooling without an agreement that every contributor signed; enforced before each charge",
        left="attach the contracts; name countries of servers and of readers",
    ),
    Duty(
        duty="notification of a breach",
        article="GDPR 33, 34",
        provided="the audit log says who read what and when; a change of it is found",
        left="name who notifies, whom, and how victims are told without danger to them",
    ),
    Duty(
        duty="impact assessment",
        article="GDPR 35",
        provided="this evidence",
        left="necessity, proportion, views of the people concerned, the advice of the data protection officer, the decision and its review date",
    ),
)

RESIDUAL: Final = (
    "A root operator who stays active while records are readable by the server can read them.",
    "A device of an organisation that is already taken over shows what its user sees.",
    "Facts true of a whole group stand out: perpetrators named in many records, staff, a shelter, a group on one boat. The guarantee is for one person at a time.",
    "Holders of keys who are coerced together can open records.",
    "Published releases and answers stay, also after a withdrawal or an erasure; the person's part in them is bounded by the epsilon that the ledger shows.",
    "An unlikely value may be learnt about a person with the probability that epsilon and delta leave: see the ledger for the sum so far.",
)
"""What stays, whatever is set (docs/threat-model.md)."""


def evidence(
    *,
    datasets: Sequence[Dataset],
    statement: Mapping[str, JsonValue],
    settings: Sequence[Setting],
    agreements: Sequence[Mapping[str, JsonValue]] | None,
    made_on: date,
) -> dict[str, JsonValue]:
    """Put the evidence together.

    Args:
        datasets: those in question; no row of theirs is read.
        statement: the public statement of their ledger; accounts and releases of other datasets are left out.
        settings: of the installation.
        agreements: documents in force that the organisations contribute to; None where no service was named.
        made_on: UTC.
    """
    there = {dataset.id for dataset in datasets}
    return {
        "format": FORMAT,
        "made_on": made_on.isoformat(),
        "software": f"casehaven {version('casehaven')}",
        "inventory": inventory(datasets),
        "flows": flows(),
        "ledger": {
            **{name: statement[name] for name in ("format", "ledger", "before", "steps", "policy", "odometer")},
            "accounts": [one for one in _rows(statement, "accounts") if one["dataset"] in there],
            "releases": [one for one in _rows(statement, "releases") if there.intersection(_names(one["datasets"]))],
            "raises": [one for one in _rows(statement, "raises") if one["dataset"] in {*there, None}],
        },
        "settings": [asdict(one) for one in (*settings, *_fixed())],
        "agreements": None if agreements is None else [dict(one) for one in agreements],
        "duties": [asdict(one) for one in DUTIES],
        "residual": list(RESIDUAL),
    }


def _rows(statement: Mapping[str, JsonValue], name: str) -> list[dict[str, JsonValue]]:
    found = statement[name]
    assert isinstance(found, list)
    return [one for one in found if isinstance(one, dict)]


def _names(found: JsonValue) -> list[str]:
    assert isinstance(found, list)
    return [str(one) for one in found]


def _fixed() -> tuple[Setting, ...]:
    return (
        Setting(
            name="least count shown",
            value=f"{MINIMUM}, and a lower end of {LOWEST_END} at least",
            meaning="small noisy numbers are hidden, on top of the noise, against harm by small cells",
        ),
        Setting(
            name="noise",
            value="discrete Gaussian, whole numbers, from the operating system's generator",
            meaning="no rounding of floats can tell a number apart",
        ),
        Setting(
            name="unit of protection",
            value="one person token, with all its records",
            meaning="what is said of a person's part in a release holds for all their records together",
        ),
    )
