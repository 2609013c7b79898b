"""A draft of a release: public choices only, checked against each other before any record is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from casehaven.blocks import parse_blocks, schema_blocks
from casehaven.core.training import refuse_training
from casehaven.errors import CasehavenError
from caseschemas import CaseSchema
from casesynth.domain import Domain
from casesynth.named import named_tables
from casesynth.plan import ReleasePlan

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class DraftError(CasehavenError):
    """A draft that contradicts itself."""


class PersonTokensError(DraftError):
    """Several organisations, and nobody said whether their tokens are shared; or a choice where no token is read."""


@dataclass(frozen=True, kw_only=True)
class ReleaseDraft:
    """What a steward asks to release; public choices only, made before any record is read."""

    files: tuple[Path, ...] = ()
    """Case files; none where datasets of a vault are released."""
    organisations: tuple[str, ...] = ()
    """One per file: the organisation whose dataset pays."""
    vault_datasets: tuple[str, ...] = ()
    """Datasets of a vault, `organisation/dataset`; each pays for itself."""
    schema: CaseSchema
    epsilon: float
    people_cap: int
    out: Path
    """Folder of the bundle; must not exist."""
    delta: float | None = None
    person_key: str | None = None
    """Column with the person token; default the schema's. Ignored when one row is one person."""
    row_is_person: bool = False
    """The steward declares that one row is one person (privacy rule 1)."""
    legal_basis: str | None = None
    dataset: str | None = None
    """Name of the dataset within each organisation; default the schema's id."""
    tokens_are: Literal["shared", "separate"] | None = None
    """Of several organisations: shared, equal tokens mean the same person, made with the agreement's linkage key; separate, tokens are each
    organisation's own and it is part of them. No default: the wrong one merges strangers or counts people twice."""
    max_tokens_per_person: int | None = None
    """Default the number of organisations; lower only with a reason (privacy rule 2)."""
    tokens_reason: str | None = None
    more_tokens: int = 0
    """Of datasets of a vault: linkage keys beyond one of each organisation. Under each a person may have one token more, whatever is said of organisations."""
    open_accounts: bool = False
    """The steward says that datasets without an account are new, and opens accounts for them."""
    ignored_columns: tuple[str, ...] = ()
    decision_used_private_data: bool = False
    """The steward declares that a comparison with real records led to this release (privacy rule 33)."""
    title: str | None = None
    tables: tuple[tuple[str, ...], ...] = ()
    """Tables that matter, by attribute, beside those of the schema: they come out sharper."""
    table_share: float | None = None
    schema_tables: bool = True
    """Whether the tables that the schema names are among them."""
    registered: tuple[str, ...] = ()
    """Of datasets of a vault: years of first registration whose people are counted and charged, `""` for an unknown year; none named: everybody."""

    def __post_init__(self) -> None:
        if bool(self.files) == bool(self.vault_datasets):
            raise DraftError("a release needs at least one case file, or at least one dataset of a vault")
        refuse_training(self.datasets)  # a file under that name would be counted for nobody's total
        if self.vault_datasets:
            self._check_vault_datasets()
        elif len(self.organisations) != len(self.files):
            raise DraftError(f"{len(self.files)} files but {len(self.organisations)} organisations; name one per file")
        for name in {*self.contributors, self.dataset or self.schema.id}:
            if not _NAME.fullmatch(name):
                raise DraftError(
                    f"{name[:60]!r} cannot name an organisation or dataset: use 1 to 64 of the characters a-z 0-9 . _ - "
                    f"and start with a letter or digit, for example {_suggested(name)}"
                )
        if self.registered and self.files:
            raise DraftError(
                "a vault fixes for each person in which year they were first registered; for case files nobody does, so all of them are charged"
            )
        if self.registered:
            object.__setattr__(self, "registered", self._only(parse_blocks(self.schema, self.registered)))
        if len({path.resolve() for path in self.files}) != len(self.files):
            raise DraftError("a file is named twice")
        if not self.row_is_person and self.person is None:
            raise DraftError(
                f"{self.schema.id} names no person key; name the column that tells persons apart, "
                "or declare that one row is one person"
            )
        if self.tokens_are is None and self.default_tokens > 1 and not self.row_is_person:
            raise PersonTokensError(
                f"{self.default_tokens} organisations: are their person tokens shared or separate? shared: the same token in two files is the "
                "same person, because the tokens were made with the agreement's linkage key; separate: each organisation numbers its own people, "
                "so the same token in two organisations is two people"
            )
        if self.tokens_are is not None and self.row_is_person:
            raise PersonTokensError("where one row is one person no person token is read, shared or separate")
        if self.lowered and not (self.tokens_reason or "").strip():
            raise DraftError(
                f"max_tokens_per_person {self.max_tokens_per_person} is lower than the {self.default_tokens} organisations; "
                "that needs a reason (--tokens-reason)"
            )

    def _check_vault_datasets(self) -> None:
        if len(set(self.vault_datasets)) != len(self.vault_datasets):
            raise DraftError("a dataset is named twice")
        if self.organisations or self.dataset or self.person_key or self.ignored_columns:
            raise DraftError("datasets of a vault bring their organisation, schema and person key with them")
        if self.row_is_person:
            raise DraftError("a vault keeps records by person; one row cannot be declared one person")
        if self.legal_basis is not None:
            raise DraftError("a vault knows for each person what the person agreed to; no other ground is taken")

    @property
    def contributors(self) -> tuple[str, ...]:
        """The organisation of each file or dataset."""
        if self.vault_datasets:
            return tuple(dataset.partition("/")[0] for dataset in self.vault_datasets)
        return self.organisations

    @property
    def person(self) -> str | None:
        """Column with the person token; None when one row is one person."""
        return None if self.row_is_person else (self.person_key or self.schema.person_key)

    @property
    def default_tokens(self) -> int:
        """Number of contributing organisations, linked or not."""
        return len(set(self.contributors))

    @property
    def lowered(self) -> bool:
        """Whether the steward says that a person has fewer tokens than there are organisations."""
        return self.max_tokens_per_person is not None and self.max_tokens_per_person < self.default_tokens

    @property
    def tokens(self) -> int:
        """How many person tokens one person may have in this release."""
        of_organisations = self.default_tokens if self.max_tokens_per_person is None else self.max_tokens_per_person
        return of_organisations + self.more_tokens

    @property
    def datasets(self) -> tuple[str, ...]:
        """Ids of the datasets that pay, each once."""
        if self.vault_datasets:
            return self.vault_datasets
        name = self.dataset or self.schema.id
        return tuple(dict.fromkeys(f"{organisation}/{name}" for organisation in self.organisations))

    @property
    def blocks(self) -> tuple[str, ...]:
        """Blocks that the release reads and charges (privacy rule 12): those named, or every year of the schema and people without one."""
        return self.registered or self.accounts

    @property
    def accounts(self) -> tuple[str, ...]:
        """Blocks that have an account in each dataset: public, and the same whatever is read."""
        return schema_blocks(self.schema)

    def _only(self, blocks: tuple[str, ...]) -> tuple[str, ...]:
        """Return no block where all are named: that is everybody, and one request."""
        return () if blocks == self.accounts else blocks

    def plan(self) -> ReleasePlan:
        """Return the plan, from public facts only."""
        named = named_tables(self.schema, self.tables, self.table_share, of_the_schema=self.schema_tables)
        return ReleasePlan.make(
            Domain.from_schema(self.schema),
            epsilon=self.epsilon,
            people_cap=self.people_cap,
            delta=self.delta,
            max_tokens_per_person=self.tokens,
            tables=named.tables,
            table_share=named.share,
        )


def _suggested(name: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")[:64] or "shelter-north"
