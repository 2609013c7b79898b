"""A person found by what the organisation calls them, through keyed hashes.

1. It is looked up as a person token, in the token index, and as a case reference, in the blind index, where the schema has one. Which of the two was meant is not guessed:
   where one is a person's token and another's case reference, somebody has to say, with `token:` or `reference:` before it.
2. Only the dataset that was named is searched. The answer says nothing of other datasets or organisations (privacy rule 2).
3. Two people under one case reference are not guessed between either.
4. A row is believed when its code, and the key of its person, are right (`casehaven.vault.bound_rows`): whoever can write to the database cannot put one person under the name of
   another.
"""

from __future__ import annotations

from sqlalchemy import select

from casehaven.people.errors import SeveralPeopleError
from casehaven.people.matching import REFERENCE_FIELD, reference_column, reference_value
from casehaven.vault import models
from casehaven.vault.bound_rows import ENTRY_KEY, verify_entry
from casehaven.vault.datasets import Dataset, Person
from casehaven.vault.store import Vault

_KINDS = ("token", "reference")


def person_by_reference(vault: Vault, dataset: Dataset, reference: str) -> Person | None:
    """Return the person of a person token or a case reference; None when nobody is there under it.

    The caller writes the audit log's entry.

    Raises:
        SeveralPeopleError: several people stand under it.
        SealBrokenError: a row that was found is not what was written.
    """
    kind, _, rest = reference.strip().partition(":")
    if kind in _KINDS and rest.strip():
        return _found(vault, dataset, rest.strip(), (kind,))
    return _found(vault, dataset, reference.strip(), _KINDS)


def _found(vault: Vault, dataset: Dataset, plain: str, kinds: tuple[str, ...]) -> Person | None:
    named = vault.person_by_token(dataset, plain) if plain and "token" in kinds else None
    numbers = _by_reference(vault, dataset, plain) if "reference" in kinds else set()
    if named is not None:
        numbers.add(named.person_id)
    if len(numbers) > 1:
        both = "" if named is None else f" or person token: write {_KINDS[0]}:... or {_KINDS[1]}:..."
        raise SeveralPeopleError(f"several people of {dataset.id} stand under this case reference{both}")
    return vault.person(numbers.pop()) if numbers else None


def _by_reference(vault: Vault, dataset: Dataset, reference: str) -> set[int]:
    """Return the numbers of all people under a case reference; nobody where the schema has none."""
    keys, index = vault.keys_of(dataset), models.blind_index.c
    value = reference_value(keys, reference) if reference_column(dataset.schema) is not None else None
    if value is None:
        return set()
    where = (index.dataset_id == dataset.dataset_id, index.field == REFERENCE_FIELD, index.value == value)
    with vault.database.transaction(writes=False) as connection:
        rows = connection.execute(select(models.blind_index).where(*where)).all()
    for row in rows:
        verify_entry(keys.index_key(ENTRY_KEY), row)
    return {row.person_id for row in rows}
