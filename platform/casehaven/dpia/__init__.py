"""Evidence for an impact assessment (GDPR article 35): what is held, where it goes, what was spent, how it is set."""

from casehaven.dpia.evidence import FORMAT, evidence
from casehaven.dpia.page import evidence_page

__all__ = ["FORMAT", "evidence", "evidence_page"]
