"""Reading case files: their structure is checked before anything is charged, their cells are counted only under a receipt.

`casehaven.intake.mapping` rewrites an organisation's own records from one schema to another; nothing of them is shown. It is not loaded here: it takes a large library with it, for which a
question would wait.
"""

from casehaven.intake.errors import CaseFileError
from casehaven.intake.files import CaseFile, open_case_file
from casehaven.intake.snapshot import Snapshot, snapshot

__all__ = ["CaseFile", "CaseFileError", "Snapshot", "open_case_file", "snapshot"]
