"""The kinds of jobs: what the worker can do, in which lane, how often it tries, and when what came of it may be seen.

1. A kind whose repetition does nothing twice is tried again when the worker died: charges carry the job's key, files are known by their digest. One that could be done
   twice is never repeated: it ends as `job-interrupted`, and whoever asked looks.
2. What came of a job that depends on case records is seen at a tick, whether it was done or failed (privacy rule 24). Until then it is running, in one phase. The lanes of
   questions and of releases take the next one at that tick: when it begins does not tell how long the one before it took.
3. Phases and progress are public: phases are fixed words, progress counts steps of work that whoever asked knows already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Lane = Literal["short", "questions", "long", "releases"]
"""Lanes run side by side, each one job at a time: a question does not wait for an upload, and nothing else waits for a question or a release."""

ATTEMPTS: Final = 3


@dataclass(frozen=True, kw_only=True)
class JobKind:
    """One kind of job."""

    name: str
    lane: Lane = "short"
    attempts: int = ATTEMPTS
    """How often it may be begun (rule 1); 1 where it could be done twice."""
    tick_seconds: int = 0
    """Length of a tick after which its end is seen (rule 2); 0: at once. A handler may name a later moment."""
    private: bool = False
    """Its result holds case data: it is sealed to whoever asked, read once, and deleted after `RESULT_SECONDS`."""


RESULT_SECONDS: Final = 600
"""How long a private result stays."""

KEPT_SECONDS: Final = 30 * 86_400
"""How long an ended job is listed."""

_ALL: Final = (
    JobKind(name="organisation.keys"),
    JobKind(name="dataset.create"),
    JobKind(name="training.make", lane="long"),
    JobKind(name="allowance.set"),
    JobKind(name="upload.propose", lane="long", private=True),
    JobKind(name="upload.commit", lane="long", private=True),
    JobKind(name="person.find", tick_seconds=1, private=True),
    JobKind(name="person.show", tick_seconds=1, private=True),
    JobKind(name="person.correct", attempts=1, tick_seconds=1, private=True),
    JobKind(name="person.consent", attempts=1, tick_seconds=1, private=True),
    JobKind(name="person.export", tick_seconds=1, private=True),
    JobKind(name="person.erase", attempts=1, tick_seconds=1, private=True),
    JobKind(name="person.receipt", tick_seconds=1, private=True),
    JobKind(name="person.retain", tick_seconds=1, private=True),
    JobKind(name="person.retain-all", attempts=1, tick_seconds=1, private=True),
    JobKind(name="person.due", lane="long", tick_seconds=1, private=True),
    JobKind(name="person.erase-due", lane="long", attempts=1, tick_seconds=1, private=True),
    JobKind(name="person.duplicates", lane="long", tick_seconds=1, private=True),
    JobKind(name="dataset.status", tick_seconds=1, private=True),
    JobKind(name="dataset.intakes", tick_seconds=1, private=True),
    JobKind(name="statistics.tables", lane="long", tick_seconds=1, private=True),
    JobKind(name="question.quote"),
    JobKind(name="question.ask", lane="questions"),
    JobKind(name="answer.list"),
    JobKind(name="release.plan", lane="long"),
    JobKind(name="release.draft", lane="long"),
    JobKind(name="release.approve"),
    JobKind(name="release.run", lane="releases", tick_seconds=60),
    JobKind(name="release.decide", lane="long"),
    JobKind(name="release.withdraw", lane="long"),
    JobKind(name="agreement.sign"),
    JobKind(name="budget.statement"),
    JobKind(name="budget.allowances"),
    JobKind(name="budget.ledger"),
    JobKind(name="budget.propose-raise"),
    JobKind(name="budget.approve-raise"),
    JobKind(name="audit.verify", lane="long"),
    JobKind(name="audit.checkpoint"),
    JobKind(name="audit.report", lane="long", private=True),
)

KINDS: Final = {kind.name: kind for kind in _ALL}
"""By name."""


def next_tick(now: int, seconds: int) -> int:
    """Return the first tick that is not before a moment.

    >>> next_tick(121, 60), next_tick(120, 60), next_tick(7, 0)
    (180, 120, 7)
    """
    return now if seconds <= 0 else -(-now // seconds) * seconds
