"""People of one dataset: find, read, correct, record consent, export, erase, keep no longer than needed.

1. A person is found by their case reference or person token: what stands in the organisation's own case files. The vault keeps an HMAC of either, under a key
   of the organisation; it holds no list that could be searched.
2. Never known and erased get the same answer. Nothing is said of other organisations (privacy rule 2).
3. Whoever looks somebody up, reads, corrects, exports or erases, asks for possible duplicates or for an earlier receipt, gives a reason. It is in the audit log in
   the same transaction, found or not.
4. A withdrawal of consent is in the anchor before it is in the database: a restored backup does not undo it. It raises the dataset's version, so that no snapshot
   that was checked before is opened after (privacy rule 35).
5. A yes that was said before the last no is refused.
6. A person is erased whole: `casehaven.vault.erasure`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime

from sqlalchemy import Connection

from casehaven.people.consent import (
    ConsentVersion,
    add_consent,
    check_dated,
    consent_history,
    parse_language,
)
from casehaven.people.correct import corrected
from casehaven.people.duplicates import PossibleDuplicate, can_be_compared, possible_duplicates
from casehaven.people.errors import ConsentFactError, CorrectionError, ReasonNeededError, SeveralRecordsError, TextError
from casehaven.people.find import person_by_reference
from casehaven.people.matching import REFERENCE_COLUMN
from casehaven.people.retention import due_people, set_retention, set_retention_for_all
from casehaven.people.view import PersonView
from casehaven.vault.datasets import Dataset, Person, Record, now
from casehaven.vault.erasure import ErasureReceipt, erase_person, receipt_of
from casehaven.vault.errors import UnknownPersonError
from casehaven.vault.store import Vault
from caseschemas import Purpose

REASON_LEAST = 4
"""Characters of a reason: enough to make somebody think, too few to be a form."""
REASON_MOST = 1_000


class People:
    """The people of one dataset, as one member of the organisation may see them."""

    def __init__(self, vault: Vault, dataset: Dataset, *, actor: str | None = None) -> None:
        """Act on a dataset.

        Args:
            vault: open.
            dataset: whose people.
            actor: who acts, for the audit log; the user of this process unless given.
        """
        self.vault = vault
        self.dataset = dataset
        self._actor = actor

    def find(self, reference: str, *, reason: str) -> Person:
        """Return the person of a case reference.

        Raises:
            UnknownPersonError: nobody is there under it; the look-up is logged all the same.
            ReasonNeededError: no reason was given.
        """
        reason = check_reason(reason)
        person = self._look_up(reference)
        with self.vault.writing() as connection:
            self._note(connection, "person.find", person, reason)
        return self._there(person)

    def read(self, reference: str, *, reason: str, action: str = "person.read") -> PersonView:
        """Open everything that the dataset has on a person.

        Raises:
            UnknownPersonError: nobody is there under this reference.
            ReasonNeededError: no reason was given.
        """
        reason = check_reason(reason)
        return self._view(self._known(reference, action, reason), reason, action)

    def read_person(self, person: Person, *, reason: str, action: str = "person.read") -> PersonView:
        """Open everything on a person who was found in another way than by reference."""
        return self._view(person, check_reason(reason), action)

    def correct(
        self, reference: str, changes: Mapping[str, str], *, reason: str, record: int | None = None
    ) -> PersonView:
        """Correct one record of a person; what was there stays and can be read.

        Args:
            reference: of the person.
            changes: new values by attribute; an empty value takes the answer away.
            reason: why.
            record: which record, counted from 1 as `read` shows them; needed where there are several.

        Returns:
            The person as they are afterwards.

        Raises:
            CorrectionError: the record cannot be changed like that; nothing was changed.
            UnknownPersonError: nobody is there under this reference.
        """
        reason = check_reason(reason)
        with self.vault.locked(self.dataset) as held:
            person = self._known(reference, "person.correct", reason)
            before = self._view(person, reason, "person.read")
            chosen = _chosen(before.counting, record)
            cells = corrected(self.dataset.schema, chosen.cells, changes)
            self.vault.append_record(held, person, cells, reason=reason, supersedes=chosen.record_id, actor=self._actor)
        return self._view(person, reason, "person.read")

    def record_consent(
        self,
        reference: str,
        purpose: Purpose,
        *,
        given: bool,
        reason: str,
        language: str = "",
        dated: date | None = None,
    ) -> ConsentVersion:
        """Record what a person said about one purpose; what they said before stays.

        Args:
            reference: of the person.
            purpose: of the four.
            given: yes, or no: refused or withdrawn.
            reason: why it is recorded now.
            language: of the words that the person heard. Needed for a yes; a no is taken without.
            dated: the day when the person said so; today unless given.

        Raises:
            ConsentFactError: the date or the language cannot be, or it is a yes from before the person's last no.
            UnknownPersonError: nobody is there under this reference.
        """
        reason, today = check_reason(reason), datetime.now(UTC).date()
        day = check_dated(today if dated is None else dated, today)
        tag = parse_language(language) if given or language else ""
        with self.vault.locked(self.dataset) as held:
            person = self._known(reference, "person.consent", reason)
            if given:
                self._check_not_before_a_no(person, purpose, day)
            if not given:
                self.vault.anchor.add_withdrawals((person.person_id, purpose))  # rule 4: before
            with self.vault.writing() as connection:
                added = add_consent(
                    connection,
                    person.person_id,
                    purpose,
                    given=given,
                    language=tag,
                    dated=day,
                    recorded_at=now(),
                )
                self.vault.raise_version(connection, held)
                self._note(connection, "person.consent", person, reason)
            if given:
                self.vault.anchor.remove_withdrawals((person.person_id, purpose))  # rule 4: after
        return added

    def _check_not_before_a_no(self, person: Person, purpose: Purpose, day: date) -> None:
        """Refuse a yes that the person said before their last no: what was withdrawn since is not given again by an old form (rule 5).

        Raises:
            ConsentFactError: it is older.
        """
        with self.vault.database.transaction(writes=False) as connection:
            latest = consent_history(connection, person.person_id).latest(purpose)
        if latest is not None and not latest.given and latest.dated is not None and day < latest.dated:
            raise ConsentFactError(
                "the person said no to this purpose on a later day; a yes from before does not count"
            )

    def erase(self, reference: str, *, reason: str) -> ErasureReceipt:
        """Erase a person for good.

        Raises:
            UnknownPersonError: nobody is there under this reference.
            AnchorMissingError: the anchor cannot be written; nothing was destroyed.
        """
        reason = check_reason(reason)
        with self.vault.locked(self.dataset) as held:
            person = self._known(reference, "person.erase", reason)
            return erase_person(self.vault, held, person, reason=reason, actor=self._actor)

    def receipt_again(self, number: int, *, reason: str) -> ErasureReceipt:
        """Return the receipt of an erasure in this dataset again.

        Raises:
            UnknownPersonError: nobody of the dataset was erased under this number; the look-up is logged all the same.
        """
        reason = check_reason(reason)
        try:
            receipt = receipt_of(self.vault, number)
        except UnknownPersonError:
            receipt = None
        if receipt is not None and receipt.dataset != self.dataset.id:
            receipt = None
        with self.vault.writing() as connection:
            self._note(connection, "person.receipt", None, reason)
        if receipt is None:
            raise UnknownPersonError(f"nobody of {self.dataset.id} was erased under the number {number}")
        return receipt

    def possible_duplicates(self, *, reason: str) -> tuple[PossibleDuplicate, ...]:
        """Return who may be one person twice, in all datasets of the organisation; each that is compared has an entry, found or not."""
        reason = check_reason(reason)
        with self.vault.writing() as connection:
            compared = self.compared()
            for dataset in compared:
                People(self.vault, dataset, actor=self._actor)._note(connection, "dataset.duplicates", None, reason)
        with self.vault.database.transaction(writes=False) as connection:
            return possible_duplicates(connection, compared) if compared else ()

    def compared(self) -> tuple[Dataset, ...]:
        """Return the organisation's datasets in which duplicates can be looked for."""
        datasets = (one for one in self.vault.datasets() if one.organisation == self.dataset.organisation)
        return tuple(dataset for dataset in datasets if can_be_compared(dataset))

    # --- retention -----------------------------------------------------------------------------------------------------

    def keep_until(self, reference: str, until: date | None, *, reason: str) -> Person:
        """Set, move or take away the last day on which a person's records may be kept.

        Raises:
            RetentionError: the day is past.
            UnknownPersonError: nobody is there under this reference.
        """
        reason = check_reason(reason)
        with self.vault.locked(self.dataset):  # so that nobody is erased as due between the look and the change
            person = self._known(reference, "person.retain", reason)
            with self.vault.writing() as connection:
                set_retention(connection, person, until, today=datetime.now(UTC).date())
                self._note(connection, "person.retain", person, reason)
            return self.vault.person(person.person_id)

    def keep_all_for(self, months: int, *, reason: str) -> None:
        """Give everybody without a date one: so many months after the month in which they came into the vault.

        Raises:
            RetentionError: the number of months cannot be.
        """
        reason = check_reason(reason)
        with self.vault.writing() as connection:
            set_retention_for_all(connection, self.dataset, months)
            self._note(connection, "person.retain", None, reason)

    def due(self, *, reason: str, most: int | None = None) -> tuple[PersonView, ...]:
        """Open the people whose last day is past, the longest overdue first, and at most so many; each reading is logged."""
        reason = check_reason(reason)
        with self.vault.writing() as connection:
            found = due_people(connection, self.dataset, today=datetime.now(UTC).date())
            self._note(connection, "person.due", None, reason)
        return tuple(self._view(self.vault.person(person_id), reason, "person.read") for person_id in found[:most])

    def erase_due(self, *, reason: str) -> Iterator[ErasureReceipt]:
        """Erase everybody whose last day is past, one after the other; yields each receipt when it is done.

        Who was given a later day meanwhile, or was erased by somebody else, is left alone: that is looked at again with the dataset held.
        """
        reason = check_reason(reason)
        with self.vault.database.transaction(writes=False) as connection:
            found = due_people(connection, self.dataset, today=datetime.now(UTC).date())
        for person_id in found:
            with self.vault.locked(self.dataset) as held:
                with self.vault.database.transaction(writes=False) as connection:
                    still = person_id in due_people(connection, held, today=datetime.now(UTC).date())
                if not still:
                    continue
                person = self.vault.person(person_id)
                receipt = erase_person(self.vault, held, person, reason=reason, actor=self._actor)
            yield receipt

    # --- within --------------------------------------------------------------------------------------------------------

    def reference_of(self, view: PersonView) -> str:
        """Return what the organisation calls a person: the case reference where it was kept, else the person token."""
        for key in (REFERENCE_COLUMN, self.dataset.schema.person_key):
            for record in view.counting:
                if key is not None and record.cells.get(key):
                    return record.cells[key]
        return ""

    def _look_up(self, reference: str) -> Person | None:
        return person_by_reference(self.vault, self.dataset, check_text(reference, "the case reference"))

    def _known(self, reference: str, action: str, reason: str) -> Person:
        """Return the person; a miss is logged, a hit is logged by whatever follows."""
        person = self._look_up(reference)
        if person is None:
            with self.vault.writing() as connection:
                self._note(connection, action, None, reason)
        return self._there(person)

    def _there(self, person: Person | None) -> Person:
        if person is None:
            raise UnknownPersonError(
                f"{self.dataset.id} has nobody under this case reference; it may never have been there, or was erased"
            )
        return person

    def _view(self, person: Person, reason: str, action: str) -> PersonView:
        records = self.vault.read_records(person, reason=reason, actor=self._actor, action=action)
        with self.vault.database.transaction(writes=False) as connection:
            history = consent_history(connection, person.person_id)
        return PersonView(
            dataset=self.dataset, person=self.vault.person(person.person_id), consent=history, records=tuple(records)
        )

    def _note(self, connection: Connection, action: str, person: Person | None, reason: str) -> None:
        self.vault.audit.append(
            connection,
            action=action,
            object_kind="dataset" if person is None else "person",
            object_id=self.dataset.id if person is None else str(person.person_id),
            organisation=self.dataset.organisation,
            actor=self._actor,
            reason=reason,
        )


def check_reason(reason: str) -> str:
    """Return a reason as it is stored.

    Raises:
        ReasonNeededError: there is none, or it is too long.
    """
    plain = " ".join(check_text(reason, "the reason").split())
    if not REASON_LEAST <= len(plain) <= REASON_MOST:
        raise ReasonNeededError(
            f"a reason of {REASON_LEAST} to {REASON_MOST} characters is needed, such as: follow-up call, request of the person"
        )
    return plain


def check_text(unverified: str, what: str) -> str:
    """Return text that somebody typed, if it is text: a terminal with another encoding hands on bytes that are none.

    Raises:
        TextError: it holds such bytes.
    """
    try:
        unverified.encode("utf-8")
    except UnicodeEncodeError:
        raise TextError(f"{what} holds bytes that are no UTF-8") from None
    return unverified


def _chosen(counting: tuple[Record, ...], number: int | None) -> Record:
    if number is None and len(counting) == 1:
        return counting[0]
    if number is None:
        raise SeveralRecordsError("the person has several records; say which one to correct, as `show` numbers them")
    if not 1 <= number <= len(counting):
        raise CorrectionError("the person has no record of that number; `show` numbers them")
    return counting[number - 1]
