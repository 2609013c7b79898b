"""Files from outside as sources: `open_source` says what a file holds and reads its rows; `open_form` reads an XLSForm.

Bytes are parsed by `casehaven.intake.sandbox` in a process of its own. This package starts it, and takes nothing from it but frames that it checks.
"""

from casehaven.intake.readers.opening import open_form, open_source
from casehaven.intake.sandbox.limits import LIMITS, Limits
from casehaven.intake.sandbox.xlsform import Form

__all__ = ["LIMITS", "Form", "Limits", "open_form", "open_source"]
