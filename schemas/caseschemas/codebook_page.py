"""A codebook as one HTML page: no network, no script, readable by screen readers, in light, dark and on paper."""

from __future__ import annotations

from html import escape

from caseschemas.codebook import Block, Bullets, Heading, Line, Paragraph, Span

RIGHT_TO_LEFT = frozenset({"ar", "dv", "fa", "he", "ku", "ps", "sd", "ug", "ur", "yi"})
"""Languages written from right to left."""

_STYLE = """
:root { color-scheme: light dark; --line: #767676; --shade: #f2f4f7; --ink: #1b1f24; --paper: #ffffff; --link: #0b4f9c; }
@media (prefers-color-scheme: dark) { :root { --shade: #22272e; --ink: #e8eaed; --paper: #14171a; --link: #9ecbff; } }
body { margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, "Noto Sans", "Noto Sans Arabic", sans-serif; }
a { color: var(--link); }
h2, h3 { margin-block-start: 2rem; }
code { font: 0.9em/1.4 ui-monospace, monospace; background: var(--shade); padding: 0 0.2em; unicode-bidi: isolate; overflow-wrap: anywhere; }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: start; font-weight: 600; padding-block: 0.5rem; }
th, td { border-block-end: 1px solid var(--line); padding: 0.3rem 0.5rem; text-align: start; vertical-align: top; }
thead th { background: var(--shade); }
tbody th { font-weight: 400; }
@media print { body { max-width: none; margin: 0; } tr { break-inside: avoid; } thead { display: table-header-group; } a { color: inherit; } }
"""


def page(blocks: tuple[Block, ...], *, language: str = "en") -> str:
    """Return a codebook as one HTML page.

    Args:
        blocks: what `codebook` returned.
        language: the same language; decides the direction of writing.

    >>> from caseschemas import load_schema
    >>> from caseschemas.codebook import codebook
    >>> page(codebook(load_schema("ctdc-global"), language="ar"), language="ar").splitlines()[1]
    '<html lang="ar" dir="rtl">'
    """
    title = next("".join(span.text for span in block.line) for block in blocks if isinstance(block, Heading))
    lines = [
        "<!doctype html>",
        f'<html lang="{escape(language)}" dir="{_direction(language)}">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        "</head>",
        "<body>",
        "<main>",
        *(_block(block) for block in blocks),
        "</main>",
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


def _direction(language: str) -> str:
    return "rtl" if language.split("-")[0] in RIGHT_TO_LEFT else "ltr"


def _block(block: Block) -> str:
    if isinstance(block, Heading):
        return f'<h{block.level} id="{escape(block.anchor)}">{_line(block.line)}</h{block.level}>'
    if isinstance(block, Paragraph):
        return f"<p>{_line(block.line)}</p>"
    if isinstance(block, Bullets):
        return "<ul>" + "".join(f"<li>{_line(line)}</li>" for line in block.lines) + "</ul>"
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in block.head)
    rows = "\n".join(
        f'<tr><th scope="row">{_line(row[0])}</th>' + "".join(f"<td>{_line(cell)}</td>" for cell in row[1:]) + "</tr>"
        for row in block.rows
    )
    caption = escape(block.caption)
    table = f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>"
    return f'<div class="table" role="region" aria-label="{caption}" tabindex="0">{table}</div>'


def _line(line: Line) -> str:
    return "".join(_span(span) for span in line)


def _span(span: Span) -> str:
    text = f'<code dir="ltr">{escape(span.text)}</code>' if span.code else escape(span.text)
    if span.language is not None:
        text = f'<span lang="{escape(span.language)}" dir="{_direction(span.language)}">{text}</span>'
    return f'<a href="{escape(span.link)}">{text}</a>' if span.link else text
