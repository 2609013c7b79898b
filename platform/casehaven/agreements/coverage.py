"""Whether an agreement allows what is asked of the attributes: every one of them, in what is shown and in every condition, no finer than agreed.

1. A question is looked at as it was understood, not as it was written: whatever words led to it, each part, fact and condition is a set of values of an attribute.
2. At a level of the schema such a set is whole groups of that level: a group is in it with all its values, or with none. Whoever asks so sees nothing of a person but the
   group. Missing values stand alone: that something is unknown is no finer than the group.
3. Where contributors agreed on different levels, a set is whole groups of each of them. What one of them keeps back is not counted at all.
4. Years of first registration are the schema's own attribute for them, asked year by year: it has to be allowed as it is.
5. A release holds every attribute as it is, so all of them have to be allowed so; and it hides counts below 10, so an agreement that hides more allows none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from casehaven.agreements.document import MINIMUM_COUNT, AgreementDocument
from casehaven.agreements.errors import NotAgreedError
from caseschemas import CaseSchema
from casesynth.answers.question import Condition, Question, Split, Where
from casesynth.domain import Domain

Positions = frozenset[int]


def check_question(document: AgreementDocument, question: Question, schema: CaseSchema, domain: Domain) -> None:
    """Return when every attribute of a question is asked no finer than agreed.

    Raises:
        NotAgreedError: names the attribute.
    """
    for attribute, positions in _asked(question):
        _allowed(document, attribute)
        for level in document.agreed(attribute):
            if not _whole(positions, _groups(schema, domain, attribute, level)):
                raise NotAgreedError(f"{attribute} is asked finer than the agreement allows")
    if question.registered is not None:
        if schema.block is None:
            raise NotAgreedError("years of first registration are not part of the agreement")
        _allowed(document, schema.block.attribute)
        if document.agreed(schema.block.attribute):
            raise NotAgreedError(f"{schema.block.attribute} is asked finer than the agreement allows")


def check_release(document: AgreementDocument, schema: CaseSchema) -> None:
    """Return when every attribute of the schema may be released as it is (rule 5).

    Raises:
        NotAgreedError: names the first that may not.
    """
    if document.minimum_count > MINIMUM_COUNT:
        raise NotAgreedError(f"a release hides counts below {MINIMUM_COUNT}, and the agreement asks for more")
    for attribute in schema.analysis:
        _allowed(document, attribute.name)
        if document.agreed(attribute.name):
            raise NotAgreedError(f"a release holds {attribute.name} finer than the agreement allows")


def _allowed(document: AgreementDocument, attribute: str) -> None:
    if not document.allows(attribute):
        raise NotAgreedError(f"{attribute} is not part of the agreement")


def _asked(question: Question) -> Iterator[tuple[str, Positions]]:
    """Yield every set of values that a question tells apart: shown, or in a condition."""
    for axis in question.by:
        if isinstance(axis, Split):
            for part in axis.parts:
                yield axis.attribute, part.positions
        else:
            for fact in (*axis.facts, *(() if axis.answered is None else (axis.answered,))):
                yield from fact.holds
    yield from _conditions(question.where)


def _conditions(where: Where) -> Iterator[tuple[str, Positions]]:
    if isinstance(where, Condition):
        yield where.attribute, where.positions
    else:
        for part in where.parts:
            yield from _conditions(part)


def _groups(schema: CaseSchema, domain: Domain, attribute: str, level: str) -> list[Positions]:
    """Return the groups of a level as positions in the attribute's value list; missing values each alone, and whatever has no group together."""
    of = domain.attribute(attribute)
    parents = next(each.parents for each in schema.hierarchies if (each.name, each.attribute) == (level, attribute))
    place = {code: position for position, code in enumerate(of.values)}
    groups = [frozenset(place[code] for code in parent.members if code in place) for parent in parents]
    groups += [frozenset({position}) for position in of.missing]
    rest = frozenset(range(len(of.values))).difference(*groups)
    return [group for group in (*groups, rest) if group]


def _whole(positions: Positions, groups: Iterable[Positions]) -> bool:
    return all(group <= positions or not group & positions for group in groups)
