"""What stands on every sheet, page and screen of own statistics, so that no copy travels without it."""

from __future__ import annotations

from dataclasses import dataclass

MARK = "NOT FOR RELEASE"
WARNING = (
    f"{MARK}: exact numbers about real people. Small numbers can point at one person. Keep and send this like the case files "
    "themselves; to publish, use `casehaven release`."
)


@dataclass(frozen=True, kw_only=True)
class ReportFacts:
    """What a reader has to know about the tables; public facts only, beside the number of people counted."""

    organisation: str
    dataset: str
    schema: str
    """Id and version."""
    made_on: str
    """Date, ISO 8601."""
    years: str
    """Years of registration, in words."""
    remarks: tuple[str, ...] = ()
    """What a reader must know about the schema, from its file of roles."""
    people: int
    """Exact number of people counted: private, like every number of the tables."""

    @property
    def title(self) -> str:
        """The heading."""
        return f"Own statistics of {self.organisation}/{self.dataset}"

    @property
    def notes(self) -> tuple[tuple[str, str], ...]:
        """Heads and texts, in reading order."""
        return (
            (MARK, WARNING.removeprefix(f"{MARK}: ")),
            ("Who is counted", f"{self.people:,} people of {self.organisation}/{self.dataset}, {self.years}."),
            (
                "Consent",
                "Only people whose latest recorded consent for own statistics is yes. Nobody else is in any number.",
            ),
            ("One person, one count", "Several records of one person are merged by the rules of the schema."),
            (
                "Percentages",
                "Of the people who answered, never of everybody; each table says how many. A group may sum to more than 100 %.",
            ),
            ("Not a random sample", "These are people whom one organisation met, not all who were trafficked."),
            ("Schema", self.schema),
            *(("About the schema", remark) for remark in self.remarks),
            ("Made on", self.made_on),
        )
