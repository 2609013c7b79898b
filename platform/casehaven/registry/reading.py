"""Published releases, opened to be read in the process that answers everybody: questions to one, and two side by side.

1. Everything read is published: the model in the signed bundle, value lists, the record. Nothing is charged, and no account, tick or record is touched.
2. A bundle is verified before its model is used: whole, signed by the key that the record names, and with the manifest that the record names.
3. The schema is the shipped one, or one that the service has published, whose value lists have the digest that the manifest states. Without one the release cannot be read here.
4. Work is bounded, because whoever asks may be nobody: one is worked out at a time, few wait, of them two from one address, and whoever comes beyond them is told to come again. `KEPT` releases and
   `COMPARISONS` comparisons are kept. What a question needs is bounded before it is worked out (`casehaven.releases.questions`), and how many an address asks by a limit of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final, TypeVar

from casehaven.registry.errors import NotComparableError, NotReadableError, RegistryBusyError
from casehaven.registry.record import citation
from casehaven.releases.comparison import DifferentDomainsError, SameReleaseError, check_comparable, compare
from casehaven.releases.comparison.facts import comparison_facts
from casehaven.releases.published import MODEL_FILE, PublishedRelease, ReleaseFactsError, verified_facts
from casehaven.releases.questions import released_rows
from casehaven.schema_questions import parsed_question
from caseschemas import CaseSchema
from caseschemas.load import shipped_schema, shipped_schema_ids
from casesynth.answers.document import ANSWER_FORMAT, row_document
from casesynth.domain import Domain
from casesynth.errors import CasesynthError
from casesynth.estimates import Estimates
from casesynth.manifest import SIGNATURE_NAME
from casesynth.signing import TrustStore, parse_signature
from casesynth.tables import read_model

KEPT: Final = 8
"""Releases that stay open, those that were read last."""
COMPARISONS: Final = 64
WAITING: Final = 6
"""Who works and who waits, together (rule 4)."""
BUSY_SECONDS: Final = 5
OF_ONE: Final = 2
"""Of them, from one address."""
MOST: Final = 3_000
"""Combinations of values that one question may need here; whoever needs more has the program."""
CELLS: Final = 400_000
"""Cells of the table of all its attributes."""
PAIRS: Final = 20
"""Pairs of values that a comparison names."""
FREE: Final = "release"
"""Why a question to a release costs nothing: it is published, and was paid for when it was made."""

Kept = TypeVar("Kept")


@dataclass(frozen=True, kw_only=True)
class Published:
    """What the registry knows of one release: enough to open it."""

    folder: Path
    """Of its bundle."""
    document: Mapping[str, Any]
    """Its record."""
    schemas: tuple[CaseSchema, ...] = ()
    """That may be its own, beside the shipped ones."""

    @property
    def digest(self) -> str:
        """What it is kept by."""
        return str(self.document["manifest_sha256"])


@dataclass
class Shelf:
    """The releases that a process has open."""

    _releases: OrderedDict[str, PublishedRelease] = field(default_factory=OrderedDict, repr=False)
    _comparisons: OrderedDict[tuple[str, str], dict[str, Any]] = field(default_factory=OrderedDict, repr=False)
    _one: Lock = field(default_factory=Lock, repr=False)
    _count: Lock = field(default_factory=Lock, repr=False)
    _inside: int = 0
    _of: dict[str, int] = field(default_factory=dict, repr=False)
    """Address, and how many of those inside are from it."""

    def answer(self, published: Published, question: Mapping[str, Any], *, address: str = "") -> dict[str, Any]:
        """Answer a question to a release, at no charge.

        Args:
            published: the release.
            question: `casehaven-question/1`; an accuracy may be left away, because the release's own intervals hold.
            address: of whoever asks.

        Returns:
            `casehaven-answer/1` without a snapshot: what was asked is named by `release`.

        Raises:
            QuestionError: it is no question about people of this schema; names the place.
            ReleaseQuestionError: a release does not answer questions like this one.
            NotReadableError: rules 2 and 3.
            RegistryBusyError: rule 4.
        """
        with self._turn(address):
            release = self._opened(published)
            asked = parsed_question({"accuracy": {"within_people": 1}, **question}, release.schema, _domain(release))
            rows = [row_document(row) for row in released_rows(asked, release, most=MOST, cells=CELLS)]
        document = published.document
        return {
            "format": ANSWER_FORMAT,
            "question": asked.canonical,
            "release": {
                "id": document["id"],
                "title": document["title"],
                "published": document["published"],
                "schema": document["schema"],
                "schema_sha256": release.schema.digest(),
                "citation": citation(document),
                "minimum_count": document["minimum_count"],
            },
            "guarantee": dict(document["guarantee"]),
            "rows": rows,
        }

    def compared(self, first: Published, second: Published) -> bool:
        """Tell whether a comparison is kept: then it takes no work."""
        return (first.digest, second.digest) in self._comparisons

    def compare(self, first: Published, second: Published, *, address: str = "") -> dict[str, Any]:
        """Set two releases side by side.

        Returns:
            `casehaven-comparison/1`, with the names of both records.

        Raises:
            NotComparableError: they are one, or have different value lists.
            NotReadableError: rules 2 and 3.
            RegistryBusyError: rule 4.
        """
        names = (first.digest, second.digest)
        known = _taken(self._comparisons, names)
        if known is None:
            with self._turn(address):
                ends = [self._opened(each) for each in (first, second)]
                try:
                    check_comparable(ends[0].facts, ends[1].facts)
                except SameReleaseError:
                    raise NotComparableError("one release is not compared with itself; name two") from None
                except DifferentDomainsError:
                    raise NotComparableError(
                        "these releases have different attributes or value lists, so their numbers cannot be set side by side"
                    ) from None
                known = comparison_facts(compare(ends[0], ends[1], pairs=PAIRS))
                _keep(self._comparisons, names, known, COMPARISONS)
        return {**known, "records": [str(each.document["id"]) for each in (first, second)]}

    def _opened(self, published: Published) -> PublishedRelease:
        found = _taken(self._releases, published.digest)
        if found is None:
            found = opened(published)
            _keep(self._releases, published.digest, found, KEPT)
        return found

    @contextmanager
    def _turn(self, address: str) -> Iterator[None]:
        """Wait for one's turn (rule 4)."""
        with self._count:
            own = self._of.get(address, 0)
            if self._inside >= WAITING or own >= OF_ONE:
                raise RegistryBusyError(BUSY_SECONDS)
            self._inside += 1
            self._of[address] = own + 1
        try:
            with self._one:
                yield
        finally:
            with self._count:
                self._inside -= 1
                self._of[address] -= 1
                if not self._of[address]:
                    del self._of[address]


SHELF: Final = Shelf()
"""Of this process."""


def opened(published: Published) -> PublishedRelease:
    """Verify a bundle, and read its model.

    Raises:
        NotReadableError: rules 2 and 3.
    """
    document = published.document
    try:
        key = parse_signature((published.folder / SIGNATURE_NAME).read_bytes()).public_key
        facts = verified_facts(published.folder, TrustStore().add("publisher", key))
        if (facts.fingerprint, facts.manifest_sha256) != (document["fingerprint"], document["manifest_sha256"]):
            raise NotReadableError
        for schema in _candidates(document, published.schemas):
            domain = Domain.from_schema(schema)
            if domain.digest() == facts.domain_sha256:
                model, errors = read_model(published.folder / MODEL_FILE, domain)
                estimates = Estimates(domain=domain, model=model, errors=errors)
                return PublishedRelease(facts=facts, schema=schema, estimates=estimates)
    except (CasesynthError, ReleaseFactsError, OSError):
        raise NotReadableError from None
    raise NotReadableError


def _candidates(document: Mapping[str, Any], others: Iterable[CaseSchema]) -> Iterator[CaseSchema]:
    name = str(document["schema"])
    if name.partition(" ")[0] in shipped_schema_ids():
        yield shipped_schema(name.partition(" ")[0])
    yield from (each for each in others if f"{each.id} {each.version}" == name)


def _domain(release: PublishedRelease) -> Domain:
    return release.estimates.domain


def _taken(kept: OrderedDict[Any, Kept], name: Any) -> Kept | None:
    found = kept.get(name)
    if found is not None:
        try:
            kept.move_to_end(name)
        except KeyError:  # another thread let it go meanwhile
            return found
    return found


def _keep(kept: OrderedDict[Any, Kept], name: Any, found: Kept, most: int) -> None:
    kept[name] = found
    while len(kept) > most:
        kept.popitem(last=False)
