"""The job that makes the dataset of training and fills it with made-up people (`casehaven.core.training`).

1. The people come from `casehaven.generate`, and go the way of every case file: the file is read, its mapping proposed, its rows checked, and its records sealed in the vault. Nothing is kept
   beside that; the file lies in a folder of its own that is removed.
2. Which people there are follows from the organisation's name, so the job can be done again: a file that is there already adds nothing.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Final

from casehaven.core.training import TRAINING
from casehaven.generate.files import write_records
from casehaven.vault.datasets import Dataset
from casehaven.vault.errors import DatasetExistsError
from casehaven.worker.datasets import open_accounts
from casehaven.worker.publish import publish_vault
from casehaven.worker.uploads import take_in_mapped
from casehaven.worker.work import Done, Work
from caseschemas import shipped_schema

SCHEMA: Final = "ctdc-global"
PEOPLE: Final = 1_500
"""Made-up people of a dataset of training: a public number."""
PEOPLE_CAP: Final = 5_000
"""Leaves room for files that somebody tries to take in."""


def make(work: Work) -> Done:
    """Make the dataset of training of an organisation, and fill it. Done again, it adds nothing."""
    bench, organisation = work.bench, work.job.organisation
    work.tick("make")
    dataset = _dataset(work)
    open_accounts(bench, dataset)
    with tempfile.TemporaryDirectory(prefix="casehaven-training-") as folder:
        file = Path(folder) / "training.csv"
        write_records(dataset.schema, PEOPLE, seed_of(organisation), file)
        take_in_mapped(work, dataset, file, {"leave_refused": True})
    publish_vault(bench.store, bench.vault, bench.clock())
    return Done(result={"organisation": organisation, "name": TRAINING, "schema": SCHEMA, "people_cap": PEOPLE_CAP})


def seed_of(organisation: str) -> int:
    """Return the seed of an organisation's made-up people (rule 2).

    >>> seed_of("north") == seed_of("north") != seed_of("south")
    True
    """
    return int.from_bytes(hashlib.sha256(b"casehaven-training/1:" + organisation.encode()).digest()[:4], "big")


def _dataset(work: Work) -> Dataset:
    vault, organisation = work.bench.vault, work.job.organisation
    try:
        return vault.add_dataset(organisation, TRAINING, shipped_schema(SCHEMA), PEOPLE_CAP, actor=work.actor)
    except DatasetExistsError:
        return vault.dataset(organisation, TRAINING)
