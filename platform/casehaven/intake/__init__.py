"""Reading case files: their structure is checked before anything is charged, their cells are read only under a receipt."""

from casehaven.intake.errors import CaseFileError
from casehaven.intake.files import CaseFile, open_case_file
from casehaven.intake.snapshot import Snapshot, snapshot

__all__ = ["CaseFile", "CaseFileError", "Snapshot", "open_case_file", "snapshot"]
