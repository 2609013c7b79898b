"""From a template to a page: one environment, everything escaped, nothing undefined."""

from __future__ import annotations

import re
import time
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from casehaven.core.training import TRAINING, is_training
from casehaven.web.assets import asset_url
from casehaven.web.charts import bar_chart, bar_picture, meter
from casehaven.web.words import LANGUAGES

if TYPE_CHECKING:
    from casehaven.web.desk import Desk

BANNER: Final = Markup("<!--banner-->")
"""Where the banner of training is put."""
_DATASET: Final = re.compile(
    rf"(?<![A-Za-z0-9/._-])(?:/datasets/)?([a-z0-9][a-z0-9._-]{{0,63}}/{TRAINING})(?![A-Za-z0-9._-])"
)
"""A dataset of training as pages write it: `north/training`, or the address of its page."""
_PATHS: Final = frozenset({"datasets/training"})


@cache
def environment() -> Environment:
    """Return the environment of every template below `templates/`."""
    made = Environment(
        loader=PackageLoader("casehaven.web", "templates"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )
    made.globals.update(
        asset_url=asset_url, languages=LANGUAGES, bar_chart=bar_chart, bar_picture=bar_picture, meter=meter
    )
    made.filters.update(moment=moment, day=day, number=number, sentence=sentence)
    return made


def rendered(template: str, *, desk: Desk, **shown: Any) -> str:
    """Return a page.

    Args:
        template: its name below `templates/`.
        desk: who reads.
        shown: what else the template shows.
    """
    words = desk.words
    return (
        environment().get_template(template).render(desk=desk, t=words.markup, text=words.text, banner=BANNER, **shown)
    )


def marked(html: str, desk: Desk) -> str:
    """Put the banner of training onto a page that shows such a dataset, by its name or by its address; take its place away from every other.

    The page's own text is looked through, so that no page can forget it.
    """
    path = desk.request.path_params
    names = {f"{path.get('organisation', '')}/{path.get('dataset', '')}", *_DATASET.findall(html)}
    found = sorted(name for name in names if is_training(name) and name not in _PATHS)
    shown = Markup("").join(
        Markup('<p class="banner" role="note">{}</p>').format(desk.words.markup("training.banner", dataset=name))
        for name in found[:3]
    )
    return html.replace(str(BANNER), str(shown), 1)


def moment(seconds: int) -> Markup:
    """Return a moment in UTC, to the minute, isolated.

    >>> moment(0)
    Markup('<time datetime="1970-01-01T00:00Z"><bdi>1970-01-01 00:00 UTC</bdi></time>')
    """
    found = time.gmtime(seconds)
    machine, shown = time.strftime("%Y-%m-%dT%H:%MZ", found), time.strftime("%Y-%m-%d %H:%M UTC", found)
    return Markup('<time datetime="{}"><bdi>{}</bdi></time>').format(machine, shown)


def day(seconds: int) -> Markup:
    """Return a day in UTC, isolated.

    >>> day(86_400)
    Markup('<time datetime="1970-01-02"><bdi>1970-01-02</bdi></time>')
    """
    found = time.strftime("%Y-%m-%d", time.gmtime(seconds))
    return Markup('<time datetime="{0}"><bdi>{0}</bdi></time>').format(found)


def number(value: float, places: int = 0) -> Markup:
    """Return a number with groups of three digits, isolated.

    >>> number(12345), number(-0.5, 1)
    (Markup('<bdi>12,345</bdi>'), Markup('<bdi>−0.5</bdi>'))
    """
    return Markup("<bdi>{}</bdi>").format(escape(f"{value:,.{places}f}".replace("-", "−")))


def sentence(text: str) -> str:
    """Return a text as a sentence: a capital first, a stop at the end.

    >>> sentence("sign in"), sentence("Wait.")
    ('Sign in.', 'Wait.')
    """
    return text and text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")
