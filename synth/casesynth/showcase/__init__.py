"""The showcase: one HTML file that a policymaker opens from disk. No network, no server, every number from the model with its interval.

It owns the design tokens and the translations, which other pages reuse.
"""

from casesynth.showcase.page import mark_showcase, showcase_html
from casesynth.showcase.tokens import tokens_css
from casesynth.showcase.translations import Translation, translations

__all__ = ["Translation", "mark_showcase", "showcase_html", "tokens_css", "translations"]
