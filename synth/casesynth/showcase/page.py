"""The page itself: header, caveats and a table of the main numbers as plain HTML, then style, data and script in the same file.

1. The file asks for nothing: its content security policy refuses every connection, and allows only the one style and the one script that
   it carries, by their hashes.
2. Without JavaScript the plain part stays. With it, the script replaces the plain part by the full page.
3. Data are JSON in which no character can end the element that holds them; the script writes text only as text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json

from caseschemas import CaseSchema
from casesynth.notes import ReleaseNotes
from casesynth.report.private_decision import put_behind
from casesynth.showcase._assets import asset_text
from casesynth.showcase.data import page_data
from casesynth.showcase.dimensions import views_of
from casesynth.showcase.plain import HEADER, plain_page, private_notice
from casesynth.showcase.quantised import QuantisedModel, closeness
from casesynth.showcase.tokens import tokens_css
from casesynth.showcase.translations import translations
from casesynth.synthesis import Synthesis

SCRIPTS = (
    "model.js",
    "words.js",
    "elements.js",
    "state.js",
    "bars.js",
    "trend.js",
    "map.js",
    "flow.js",
    "matrix.js",
    "compare.js",
    "sheet.js",
    "save.js",
    "page.js",
)
"""In this order they are one script; each is readable alone."""


def showcase_html(synthesis: Synthesis, notes: ReleaseNotes, schema: CaseSchema | None) -> str:
    """Write the showcase of a release.

    It holds protected numbers and public facts only, and repeats exactly for the same synthesis.

    Args:
        synthesis: what is released.
        notes: what people say about it.
        schema: labels, kinds and groups; None: codes are shown, and no view that needs a kind.
    """
    languages = translations()
    views = views_of(synthesis.plan.domain, schema)
    quantised = QuantisedModel.of(synthesis.model)
    close = closeness(quantised, synthesis.aggregates)
    data = page_data(synthesis, notes, schema, views=views, languages=languages, quantised=quantised, close=close)
    style = tokens_css() + asset_text("showcase.css")
    script = '(function () {\n"use strict";\n' + "\n".join(asset_text(name) for name in SCRIPTS) + "\nstart();\n})();\n"
    policy = f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; base-uri 'none'; form-action 'none'"
    return (
        "<!doctype html>\n"
        '<html lang="en" dir="ltr">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{html.escape(policy, quote=True)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{html.escape(notes.title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f'<div id="page">\n{plain_page(data, synthesis, languages[0])}\n</div>\n'
        f'<script type="application/json" id="data">{_embedded(data)}</script>\n<script>{script}</script>\n</body>\n</html>\n'
    )


def mark_showcase(text: str) -> str:
    """Put into a showcase that the decision about its release used private data: it becomes what `showcase_html` writes where the notes say so.

    A showcase of another version, whose script does not know the fact, gets the sentence in front of the page, where no script replaces it.
    """
    notice, fact = private_notice(translations()[0]), '"privateDecision":{}'
    if text.count(fact.format("false")) != 1:
        return put_behind(text, "<body>", notice)
    return put_behind(text, HEADER, notice).replace(fact.format("false"), fact.format("true"))


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _embedded(data: object) -> str:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
