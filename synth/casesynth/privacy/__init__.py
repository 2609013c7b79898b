"""The only place that draws noise, and the types that say what it costs."""

from casesynth.privacy.loss import PrivacyLoss, PrivacyLossError, Receipt

__all__ = ["PrivacyLoss", "PrivacyLossError", "Receipt"]
