"""Reading case files: their structure is checked before anything is charged, their cells are counted only under a receipt.

`mapping` rewrites an organisation's own records from one schema to another; nothing of them is shown.
"""

from casehaven.intake.errors import CaseFileError
from casehaven.intake.files import CaseFile, open_case_file
from casehaven.intake.mapping import map_file, map_frame
from casehaven.intake.snapshot import Snapshot, snapshot

__all__ = ["CaseFile", "CaseFileError", "Snapshot", "map_file", "map_frame", "open_case_file", "snapshot"]
