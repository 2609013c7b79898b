"""The private report: a release compared with the real records behind it, for the steward alone (privacy rule 33).

Nothing that makes or publishes a release may import this package; `tests/test_imports.py` holds the code to that.
"""

from casehaven.evaluation.page import report_page
from casehaven.evaluation.screen import report_lines
from casehaven.evaluation.sealed_page import ReportPassphraseError, check_passphrase, new_passphrase, sealed_report
from casehaven.evaluation.service import (
    NobodyEvaluatedError,
    OpenReal,
    OtherDatasetsError,
    PrivateReport,
    RealPeople,
    case_files,
    compare,
    vault_datasets,
)

__all__ = [
    "NobodyEvaluatedError",
    "OpenReal",
    "OtherDatasetsError",
    "PrivateReport",
    "RealPeople",
    "ReportPassphraseError",
    "case_files",
    "check_passphrase",
    "compare",
    "new_passphrase",
    "report_lines",
    "report_page",
    "sealed_report",
    "vault_datasets",
]
