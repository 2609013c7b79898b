"""What is known to break k-synthetic files, in words that every such file carries (privacy rule 34)."""

from __future__ import annotations

from dataclasses import dataclass

WARNING = "NOT differentially private"
"""Stands first on everything that has to do with a k-synthetic file."""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One known way to learn about a person from a k-synthetic file."""

    name: str
    how: str
    """What somebody does and learns, in plain words."""
    remedy: str
    """What makes it harder; nothing here makes it impossible."""


ATTACKS: tuple[Attack, ...] = (
    Attack(
        name="k-1 insider",
        how=(
            "Whoever knows the records of k-1 people who share some values, or put k-1 such records into the data, sees from the file whether one more "
            "person has those values too: only then do they occur."
        ),
        remedy="Know who can add records and who knows many; choose k larger than the number of records that one of them can know or add.",
    ),
    Attack(
        name="repeated release",
        how=(
            "Two files of nearly the same people, one after the other, differ by what the people who came or went have. Values that occur in one and not "
            "in the other, and counts that step by k, tell about those few people. More files tell more, and nothing bounds how much."
        ),
        remedy="Release once. The ledger remembers for good that a dataset was released in this way.",
    ),
    Attack(
        name="homogeneity",
        how=(
            "Where everybody who shares some values also shares another, the file shows it. Whoever knows that a person is in the data and has the first "
            "values then knows the other as well, without singling anybody out."
        ),
        remedy="Leave out attributes that must not be learnt about people of a known kind; a larger k alone does not help.",
    ),
)
"""The three attacks that are named wherever such a file is made, described or verified."""
