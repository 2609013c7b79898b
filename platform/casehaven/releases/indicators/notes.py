"""What stands beside the indicator tables: what the numbers are, what is missing, what is hidden, and how to cite them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

from casehaven.releases.indicators.roles import Roles
from casehaven.releases.indicators.tables import IndicatorTable
from casehaven.releases.published import PublishedRelease
from casesynth.report.caveats import HIDDEN
from casesynth.report.words import SPACE, counted, whole


@dataclass(frozen=True, kw_only=True)
class Note:
    """One thing to know, in a few words and in full."""

    head: str
    text: str


def citation(release: PublishedRelease) -> str:
    """How to cite a table."""
    return f"{release.facts.citation} Table made with casehaven {version('casehaven')}."


def notes(release: PublishedRelease, roles: Roles, tables: Sequence[IndicatorTable]) -> tuple[Note, ...]:
    """Return everything that a reader must know, the most important first."""
    facts, people = release.facts, release.estimates.people
    found = [
        Note(
            head="People in the release.",
            text=f"About {people}, 95{SPACE}% interval {people.interval}, in the records of "
            f"{counted(facts.organisations, 'organisation')}.",
        ),
        Note(
            head="Every number is an estimate.",
            text="It comes from the model of a differentially private release and stands with the ends of its 95 % interval. The "
            "interval says how far it may be from the number in the records; it does not cover errors in the records.",
        ),
        Note(head="Hidden does not mean zero.", text=HIDDEN),
        Note(
            head="Not a random sample of all victims.",
            text="The records are of people whom the organisations came to know and registered. Who is found depends on where "
            "services are, whom they serve and what they look for.",
        ),
        Note(
            head="Forms of exploitation overlap.",
            text="A person may be counted under several. The forms do not add up to the whole, which also holds people for whom no "
            "form was recorded. All other lines are disjoint.",
        ),
        Note(
            head="Groups of values.",
            text="An age group, and everybody whose value is not known for several reasons, is the sum of disjoint cells. Half of its "
            "interval is the root of the sum of their squared halves, and never less than that of one cell of its size.",
        ),
        Note(
            head="At most three values together.",
            text="Errors are judged for combinations of up to three values. Sex, age group and form for one single year would be "
            "four: for that, release the year alone. Without a year, a table covers all years of the release.",
        ),
        Note(
            head="SDG indicator 16.2.2.",
            text="The indicator is a number of detected victims per 100,000 people who live in a country. These tables hold the "
            "numbers of victims; the population, and the choice of a year and a country, are the reader's.",
        ),
        Note(
            head="EU Directive 2011/36, as amended in 2024.",
            text="The directive asks for registered victims by registering organisation, sex, age group, citizenship and form of "
            "exploitation. The registering organisation is never in a pooled release: contributors do not show. An organisation reports "
            "its own part from its own records. Suspects, prosecutions and convictions are not in case records of victims.",
        ),
        *_missing_roles(roles),
        *_not_victims(release, roles),
        *(Note(head="About the schema.", text=text) for text in roles.notes),
        *_left_out(tables),
        Note(
            head="Protection.",
            text=f"Differential privacy: {facts.protection}. The tables are made from the protected model alone; they cost no "
            "further privacy.",
        ),
        Note(head="Licence of the release.", text=facts.licence),
        Note(head="How to cite.", text=citation(release)),
    ]
    return tuple(found)


def _missing_roles(roles: Roles) -> list[Note]:
    named = (
        ("sex", roles.sex),
        ("age group", roles.age),
        ("form of exploitation", roles.forms),
        ("citizenship", roles.citizenship),
        ("year of registration", roles.year),
        ("status as identified or presumed victim", roles.status),
    )
    absent = [name for name, role in named if not role]
    if not absent:
        return []
    return [Note(head="Not in the tables.", text=f"The schema {roles.schema} does not record: {', '.join(absent)}.")]


def _not_victims(release: PublishedRelease, roles: Roles) -> list[Note]:
    if roles.status is None or not roles.not_victims:
        return []
    estimates = release.estimates
    found = estimates.union([estimates.facts(roles.status.attribute, code) for code in roles.not_victims])
    number = f"About {found} people ({found.interval})" if found.shown else "Some people (hidden)"
    return [
        Note(
            head="Not all are victims.",
            text=f"{number} have a status that says that they are not victims. The table by status shows them apart; all other tables "
            "count them, because leaving them out would be a fourth value.",
        )
    ]


def _left_out(tables: Sequence[IndicatorTable]) -> list[Note]:
    return [
        Note(
            head=f"Left out of '{table.name}'.",
            text=f"{whole(table.left_out)} values of {table.dimensions[0].title.lower()} that are hidden in every cell.",
        )
        for table in tables
        if table.left_out
    ]
