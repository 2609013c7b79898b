"""What `casehaven intake` shows and asks: the mapping, its guesses, the dry run.

1. It is the screen of the organisation whose file it is. What stands here goes to no log and no error.
2. Every line fits 100 columns.
3. A question has a safe answer by default: nothing is used.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import click

from casehaven.client.plain_text import one_line
from casehaven.intake.calendars import CALENDARS, Calendar
from casehaven.intake.check import AttributeFinding, CheckReport
from casehaven.intake.dates import ORDERS, DateReading
from casehaven.intake.errors import UnconfirmedMappingError
from casehaven.intake.held import HeldSource
from casehaven.intake.intake_mapping import AttributeMapping, IntakeMapping
from casehaven.intake.mapped_file import TAKEN, MappedFile
from casehaven.intake.sealed_upload import PreparedFile
from casehaven.intake.upload import Upload
from casehaven.intake.value_proposal import DateQuestion, date_questions
from caseschemas import CaseSchema

WIDTH = 100
_ROWS_SHOWN = 20
_NAMES_SHOWN = 40


def is_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def short(text: str, most: int) -> str:
    """Cut a text to a length; nothing in a file's words steers the terminal.

    >>> short("abcdef", 4), short("abc", 4)
    ('abc…', 'abc')
    """
    return one_line(text, most)


def column_words(name: str) -> str:
    """Return how a column is spoken of: one without a name of its own is called by its place already.

    >>> column_words("Sexe"), column_words("column A")
    ('column Sexe', 'column A')
    """
    shown = short(name, 60)
    return shown if shown.startswith("column ") else f"column {shown}"


def wrapped(head: str, words: Iterable[str], *, most: int = _NAMES_SHOWN) -> list[str]:
    """Return lines of names behind a head, within the width."""
    names = list(words)
    if len(names) > most:
        names = [*names[:most], f"and {len(names) - most} more"]
    lines, line = [], f"{head:<11}"
    for number, name in enumerate(names):
        piece = short(name, WIDTH - 16) + ("," if number < len(names) - 1 else "")
        if len(line) + len(piece) > WIDTH and line.strip():
            lines.append(line.rstrip())
            line = " " * 11
        line += piece + " "
    return [*lines, line.rstrip()]


def share(part: int, whole: int) -> str:
    """Return a share as a person reads it.

    >>> share(0, 9), share(1, 999), share(500, 1000), share(999, 1000), share(9, 9)
    ('-', '< 1 %', '50 %', '> 99 %', '100 %')
    """
    if not part or not whole:
        return "-"
    if part == whole:
        return "100 %"
    percent = round(100 * part / whole)
    return "< 1 %" if percent < 1 else "> 99 %" if percent > 99 else f"{percent} %"


def show_mapping(mapping: IntakeMapping, *, where: str) -> None:
    """Say where a mapping comes from, and what of it is a guess."""
    exact = sum(not entry.guessed for entry in mapping.attributes)
    guesses = len(mapping.guesses)
    click.echo(f"mapping    {where}: {exact} attributes certain, {guesses} with guesses")
    for entry in mapping.guesses:
        show_guess(entry)


def show_guess(entry: AttributeMapping) -> None:
    """Show one guess: of the column, or of words."""
    if entry.status == "guess":
        columns = " + ".join(map(column_words, entry.source))
        click.echo(short(f"  guess    {short(entry.to, 38)} from {columns}", WIDTH))
        if entry.why:
            click.echo(short(f"             because: {entry.why}", WIDTH))
    for word, code in list(entry.guesses.items())[:_ROWS_SHOWN]:
        click.echo(short(f"  guess    {short(entry.to, 38)}: {word!r} means {code!r}", WIDTH))
    if len(entry.guesses) > _ROWS_SHOWN:
        click.echo(f"           and {len(entry.guesses) - _ROWS_SHOWN} more words")


def ask_guesses(mapping: IntakeMapping, schema: CaseSchema) -> IntakeMapping | None:
    """Ask about the guesses; None: nothing is to be done. Which column holds a consent is asked by itself, whatever is said of the others."""
    if not mapping.guesses:
        return mapping
    answer = click.prompt(
        "Are these guesses right? [a]ll of them, [o]ne by one, [n]one of them, [s]top",
        type=click.Choice(["a", "o", "n", "s"]),
        default="s",
        show_choices=False,
    )
    if answer == "s":
        return None
    kept = []
    for entry in mapping.attributes:
        consent = schema.attribute(entry.to).role == "consent"
        if answer == "a" and not consent:
            decided: AttributeMapping | None = entry.accepted()
        else:
            decided = _ask_one(entry) if entry.guessed and answer in ("o", "a") else _without(entry)
        if decided is not None:
            kept.append(decided)
    return replace(mapping, attributes=tuple(kept))


def _ask_one(entry: AttributeMapping) -> AttributeMapping | None:
    show_guess(replace(entry, guesses={}))
    if entry.status == "guess" and not click.confirm(f"  use it for {entry.to}?", default=False):
        return None
    codes = dict(entry.codes)
    for word, code in entry.guesses.items():
        if click.confirm(short(f"  {entry.to}: does {word!r} mean {code!r}?", WIDTH - 8), default=False):
            codes[word] = code
    return replace(entry, status="decided", codes=codes, guesses={})


def _without(entry: AttributeMapping) -> AttributeMapping | None:
    """Return what is certain of an entry."""
    return None if entry.status == "guess" else replace(entry, guesses={})


def ask_dates(mapping: IntakeMapping, questions: Sequence[DateQuestion]) -> IntakeMapping:
    """Ask what only a person knows about dates; each column once."""
    readings: dict[str, DateReading] = {}
    for question in questions:
        if question.column in readings:
            continue
        column, of_answer = column_words(question.column), question.column in question.entry.source
        before = question.entry.dates if of_answer else question.entry.at_dates
        reading = DateReading(calendar=before.calendar)
        if question.calendars:
            click.echo(f"The years in {column} are not of the Gregorian calendar.")
            answer = click.prompt(
                "  Which calendar?",
                type=click.Choice(["gregorian", *question.calendars]),
                default=question.calendars[0],
            )
            calendar: Calendar = next(one for one in CALENDARS if one == answer)
            reading = replace(reading, calendar=calendar)
        if question.order_open:
            what = "day, month and year" if question.year_open else "day and month"
            click.echo(f"In {column} {what} cannot be told apart.")
            first = click.prompt("  What comes first?", type=click.Choice([*ORDERS, "unknown"]), default="unknown")
            reading = replace(reading, order=next((order for order in ORDERS if order == first), None))
        readings[question.column] = reading
    return with_readings(mapping, readings)


def refuse_open_years(held: HeldSource, mapping: IntakeMapping, schema: CaseSchema) -> None:
    """Refuse dates of two digits of which nobody can say where the year stands: there is nobody to ask.

    Raises:
        UnconfirmedMappingError: names the columns.
    """
    questions = (q for entry in mapping.attributes for q in date_questions(held, schema, entry))
    columns = list(dict.fromkeys(question.column for question in questions if question.year_open))
    if columns:
        shown = ", ".join(short(name, 60) for name in columns[:_ROWS_SHOWN])
        raise UnconfirmedMappingError(
            f"{held.source.path.name}: the year may be the first or the last part of dates in: {shown}; say which with --date-order"
        )


def with_readings(mapping: IntakeMapping, readings: dict[str, DateReading], *, calendar: bool = True) -> IntakeMapping:
    """Return a mapping that reads the dates of some columns in a certain way; in the calendar that it had, where `calendar` is False."""
    attributes = []
    for entry in mapping.attributes:
        for name in entry.source:
            if name in readings:
                entry = replace(entry, dates=_merged(entry.dates, readings[name], calendar))
        if entry.at in readings:
            entry = replace(entry, at_dates=_merged(entry.at_dates, readings[entry.at], calendar))
        attributes.append(entry)
    return replace(mapping, attributes=tuple(attributes))


def _merged(before: DateReading, said: DateReading, calendar: bool) -> DateReading:
    changed = said.calendar if calendar else before.calendar
    return replace(before, order=said.order or before.order, calendar=changed)


def ask_person(mapping: IntakeMapping, schema: CaseSchema) -> IntakeMapping:
    """Ask what tells people apart, where nothing says it."""
    key = schema.person_key
    if key is None or mapping.row_is_person or mapping.attribute(key) is not None:
        return mapping
    click.echo("No column of this file is known to tell people apart.")
    _lines(wrapped("columns", mapping.columns))
    click.echo("Several together may, such as both names and the date of birth: write a semicolon between them.")
    while True:
        said = click.prompt("Which column does? Write its name, or [r] if nobody is in the file twice")
        if said.strip().lower() == "r":
            return replace(mapping, row_is_person=True)
        names = [name.strip() for name in said.split(";") if name.strip()]
        absent = [name for name in names if name not in mapping.columns]
        if names and not absent:
            return with_person(mapping, schema, names)
        click.echo(short(f"  the file has no column {', '.join(absent)}", WIDTH))


def with_person(mapping: IntakeMapping, schema: CaseSchema, columns: Sequence[str]) -> IntakeMapping:
    """Return a mapping in which these columns tell people apart."""
    from casehaven.intake.errors import PersonUndecidedError  # rarely needed

    absent = [name for name in columns if name not in mapping.columns]
    if absent or schema.person_key is None:
        raise PersonUndecidedError(f"the file has no column {', '.join(absent) or 'for that'}")
    entry = AttributeMapping(to=schema.person_key, source=tuple(columns), how="copy", status="decided")
    rest = [other for other in mapping.attributes if other.to != schema.person_key]
    dropped = tuple(one for one in mapping.dropped if one.column not in columns)
    order = [attribute.name for attribute in schema.attributes]
    attributes = tuple(sorted([*rest, entry], key=lambda other: order.index(other.to)))
    return replace(mapping, attributes=attributes, dropped=dropped, row_is_person=False)


def without_person(mapping: IntakeMapping, schema: CaseSchema) -> IntakeMapping:
    """Return a mapping of a file in which nobody is twice."""
    rest = tuple(entry for entry in mapping.attributes if entry.to != schema.person_key)
    return replace(mapping, attributes=rest, row_is_person=True)


def person_known(mapping: IntakeMapping, schema: CaseSchema) -> bool:
    """Whether something tells people apart."""
    key = schema.person_key
    return key is None or mapping.row_is_person or mapping.attribute(key) is not None


# --- the dry run -------------------------------------------------------------------------------------------------------------


def show_report(mapping: IntakeMapping, report: CheckReport, *, refused: int | None = None) -> None:
    """Show what taking a file in would do.

    Args:
        mapping: under which it was tried.
        report: what came of it.
        refused: how many rows are refused, where the report lists some of them.
    """
    there = report.rows - report.empty
    click.echo(f"{'attribute':<40}{'from column':<31}{'understood':>10}{'not':>9}{'empty':>9}")
    for finding in report.attributes:
        if finding.kept:
            _show_finding(finding, there)
    for finding in report.attributes:
        if finding.not_understood:
            if finding.words:
                _lines(wrapped("not known", [f"{finding.to}: {', '.join(map(repr, finding.words[:12]))}"]))
            else:
                click.echo(f"not known  {finding.to}: cells that are no such value; they are not shown")
    if report.unfilled:
        _lines(wrapped("unfilled", report.unfilled))
    _show_dropped(report)
    for note in report.notes:
        _lines(textwrap.wrap(f"note       {note}", WIDTH, subsequent_indent=" " * 11, break_long_words=False))
    _show_rows(mapping, report, len(report.refused) if refused is None else refused)


def show_prepared(file: PreparedFile, findings: Sequence[AttributeFinding]) -> None:
    """Show what taking a prepared file in would do."""
    when = "at a time that it does not say" if file.prepared_at is None else f"at {file.prepared_at}"
    click.echo(f"prepared   {short(file.path.name, 60)}: {when}")
    click.echo(f"tokens     {file.token_rule} under the linkage key {file.linkage_key}")
    click.echo(f"{'attribute':<40}{'from column':<31}{'understood':>10}{'not':>9}{'empty':>9}")
    for finding in findings:
        _show_finding(finding, file.table.num_rows)
    click.echo(f"rows       {file.table.num_rows:,} to be taken in")


def show_findings(findings: Sequence[AttributeFinding]) -> None:
    """Show what became of each attribute of a prepared file; each row of it counts."""
    click.echo(f"{'attribute':<40}{'from column':<31}{'understood':>10}{'not':>9}{'empty':>9}")
    for finding in findings:
        _show_finding(finding, finding.understood + finding.not_understood + finding.blank)


def show_others(file: MappedFile | PreparedFile | None, places: Sequence[int], *, same: bool) -> None:
    """Say which records have a record key that another person of the dataset holds: the file will be refused. Without the file, how many."""
    if not places:
        return
    what = "1 row holds a record key" if len(places) == 1 else f"{len(places):,} rows hold record keys"
    click.echo(f"others     {what} of other people of the dataset" + (":" if file is not None else ""))
    if isinstance(file, MappedFile):
        rows = file.held.rows[file.fates == TAKEN][list(places)]
        _lines(wrapped("", [f"row {row}" for row in rows.tolist()], most=_ROWS_SHOWN))
    if same:
        click.echo(
            "           as --same-people says, they are the same people: their refusals are taken over. Records of"
        )
        click.echo("           theirs that are not in this file stay with the earlier person, who counts beside them")
        return
    click.echo("           the file will be refused; --same-people says that they are the same people in other words,")
    click.echo("           --record-key names another column, or none")


def show_known_otherwise(count: int) -> None:
    """Say how many records may be of people whom the dataset knows under another token."""
    if not count:
        return
    what = "1 row may be" if count == 1 else f"{count:,} rows may be"
    click.echo(f"known      {what} about somebody who is in the dataset under another token, by name, birth or phone:")
    click.echo("           whoever is counts twice, and a refusal does not follow; see `casehaven person duplicates`")


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What became of a file, here or on a server."""

    repeated: bool
    changed: bool
    records: int
    """New and corrected ones."""
    corrected: int
    unchanged: int
    version: int | None = None
    """Of the dataset; a server does not tell it."""

    @classmethod
    def of(cls, upload: Upload) -> Taken:
        """Return what became of a file here."""
        return cls(
            repeated=upload.repeated,
            changed=upload.changed,
            records=upload.records,
            corrected=upload.corrected,
            unchanged=upload.unchanged,
            version=upload.version,
        )


def show_taken(file: str, dataset: str, taken: Taken) -> None:
    """Say what became of a file."""
    version = "" if taken.version is None else f", version {taken.version}"
    if taken.repeated:
        click.echo(f"there      {file}: {dataset} has this file already; nothing was added")
    elif taken.unchanged and not taken.records:
        click.echo(f"there      {file}: {dataset} has all of its records already; nothing was added")
    elif not taken.changed:
        click.echo(f"nothing    {file}: no row to be taken in; {dataset} is as it was")
    elif not taken.records:
        click.echo(f"refusals   {file}: no row to be taken in; refusals in it count, {dataset}{version}")
    else:
        click.echo(f"taken in   {file}: {dataset}{version}")
        if taken.unchanged or taken.corrected:
            new = taken.records - taken.corrected
            said = f"{new:,} new, {taken.corrected:,} corrected, {taken.unchanged:,} there already"
            click.echo(f"           records: {said}")


def _lines(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)


def _show_finding(finding: AttributeFinding, there: int) -> None:
    source = " + ".join(finding.source)
    parts = (finding.understood, finding.not_understood, finding.blank)
    shares = "".join(f"{share(part, there):>{width}}" for part, width in zip(parts, (10, 9, 9), strict=True))
    click.echo(f"{short(finding.to, 38):<40}{short(source, 29):<31}{shares}")


def _show_dropped(report: CheckReport) -> None:
    identifying = [finding.to for finding in report.attributes if not finding.kept]
    if identifying:
        click.echo("dropped    identifiers and free text (--keep NAME keeps one of them, sealed):")
        _lines(wrapped("", identifying))
    reasons: dict[str, list[str]] = {}
    for entry in report.dropped:
        reasons.setdefault(entry.why, []).append(entry.column)
    for why, names in reasons.items():
        click.echo(f"dropped    {short(why or 'by the mapping', WIDTH - 12)}:")
        _lines(wrapped("", names))
    if report.new_columns:
        click.echo("new        columns that the mapping does not know; they are not read:")
        _lines(wrapped("", report.new_columns))


def _show_rows(mapping: IntakeMapping, report: CheckReport, refused_in_all: int) -> None:
    click.echo(f"rows       {report.rows:,} read, {report.taken:,} to be taken in")
    left = ", ".join(code for entry in mapping.left_out for code in entry.codes)
    for count, what in (
        (report.empty, "empty"),
        (report.repeated, "the same as an earlier row"),
        (report.left_out, f"left behind: {short(left, 60)}"),
        (report.minors, "left behind: minors, by the rule"),
        (refused_in_all, "refused"),
    ):
        if count:
            click.echo(f"           {count:,} {what}")
    for refused in report.refused[:_ROWS_SHOWN]:
        click.echo(f"refused    row {refused.row}: {refused.reason}")
    if refused_in_all > _ROWS_SHOWN:
        click.echo(f"           and {refused_in_all - _ROWS_SHOWN:,} more rows")
