"""The labels of one thing, one per language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


class Labels(Mapping[str, str]):
    """A read-only mapping from language to text that keeps its order, compares by content and can be hashed and pickled.

    >>> labels = Labels({"en": "Woman", "fr": "Femme"})
    >>> labels["fr"], labels.text("ar"), labels.text("fr-CA")
    ('Femme', 'Woman', 'Femme')
    """

    __slots__ = ("_texts",)

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = dict(texts)

    def __getitem__(self, language: str) -> str:
        return self._texts[language]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)

    def __hash__(self) -> int:
        return hash(frozenset(self._texts.items()))

    def __repr__(self) -> str:
        return f"Labels({self._texts!r})"

    def text(self, language: str) -> str:
        """The text in a language; else in its parent language (`fr` for `fr-CA`); else in the first language that there is."""
        return (
            self._texts.get(language) or self._texts.get(language.split("-")[0]) or next(iter(self._texts.values()), "")
        )


NO_LABELS = Labels({})
"""Nothing to read in any language."""
