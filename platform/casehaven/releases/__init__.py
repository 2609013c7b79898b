"""Releases: from case files, an agreement on a budget and a key to a protected, signed bundle."""

from casehaven.releases.draft import DraftError, PersonTokensError, ReleaseDraft
from casehaven.releases.service import (
    Outcome,
    RequestBusyError,
    UnknownDatasetError,
    release_case_files,
    release_vault_datasets,
)

__all__ = [
    "DraftError",
    "Outcome",
    "PersonTokensError",
    "ReleaseDraft",
    "RequestBusyError",
    "UnknownDatasetError",
    "release_case_files",
    "release_vault_datasets",
]
