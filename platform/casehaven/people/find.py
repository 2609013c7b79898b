"""A person found by what the organisation calls them, through keyed hashes.

1. The person token is looked up first: the token index holds an HMAC of it for each person. Then the case reference, in the blind index, where the schema has one.
2. Only the dataset that was named is searched. The answer says nothing of other datasets or organisations (privacy rule 2).
3. Two people under one case reference are not guessed between: somebody has to say which, by person token.
"""

from __future__ import annotations

from sqlalchemy import select

from casehaven.people.errors import SeveralPeopleError
from casehaven.people.matching import REFERENCE_FIELD, reference_column, reference_value
from casehaven.vault import models
from casehaven.vault.datasets import Dataset, Person
from casehaven.vault.store import Vault


def person_by_reference(vault: Vault, dataset: Dataset, reference: str) -> Person | None:
    """Return the person of a person token or a case reference; None when nobody is there under it.

    The caller writes the audit log's entry.

    Raises:
        SeveralPeopleError: the case reference stands for several people.
    """
    plain = reference.strip()
    if not plain:
        return None
    found = vault.person_by_token(dataset, plain)
    if found is not None or reference_column(dataset.schema) is None:
        return found
    index = models.blind_index.c
    value = reference_value(vault.keys_of(dataset), plain)
    where = (index.dataset_id == dataset.dataset_id, index.field == REFERENCE_FIELD, index.value == value)
    with vault.database.transaction(writes=False) as connection:
        numbers = connection.scalars(select(index.person_id).where(*where).distinct()).all()
    if len(numbers) > 1:
        raise SeveralPeopleError(f"several people of {dataset.id} stand under this case reference")
    return vault.person(numbers[0]) if numbers else None
