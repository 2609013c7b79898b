"""The privacy engine: coded people in, a protected release out.

Names are imported when they are first used, so that checking a signature does not load the whole engine.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from casesynth.api import EACH_ROW, Release, release
    from casesynth.bundle import ReleaseBundle, write_bundle
    from casesynth.domain import Attribute, Domain, Function, Multi
    from casesynth.errors import CasesynthError
    from casesynth.model import FitSettings
    from casesynth.notes import ReleaseNotes
    from casesynth.plan import ReleasePlan
    from casesynth.privacy.loss import PrivacyLoss, Receipt
    from casesynth.synthesis import Synthesis, recompute, synthesise

_HOMES = {
    "EACH_ROW": "casesynth.api",
    "Attribute": "casesynth.domain",
    "CasesynthError": "casesynth.errors",
    "Domain": "casesynth.domain",
    "FitSettings": "casesynth.model",
    "Function": "casesynth.domain",
    "Multi": "casesynth.domain",
    "PrivacyLoss": "casesynth.privacy.loss",
    "Receipt": "casesynth.privacy.loss",
    "Release": "casesynth.api",
    "ReleaseBundle": "casesynth.bundle",
    "ReleaseNotes": "casesynth.notes",
    "ReleasePlan": "casesynth.plan",
    "Synthesis": "casesynth.synthesis",
    "recompute": "casesynth.synthesis",
    "release": "casesynth.api",
    "synthesise": "casesynth.synthesis",
    "write_bundle": "casesynth.bundle",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


__all__ = [
    "EACH_ROW",
    "Attribute",
    "CasesynthError",
    "Domain",
    "FitSettings",
    "Function",
    "Multi",
    "PrivacyLoss",
    "Receipt",
    "Release",
    "ReleaseBundle",
    "ReleaseNotes",
    "ReleasePlan",
    "Synthesis",
    "recompute",
    "release",
    "synthesise",
    "write_bundle",
]
