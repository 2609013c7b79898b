"""Which tool wrote a table, by its marks, and what follows for its columns.

1. Marks are names of columns that a tool adds to every export; two of them are needed. Somebody may say the tool instead.
2. Metadata of the tool stays readable and is marked as such.
3. A question of several answers is one column, whether the tool wrote codes with spaces between them, columns of 0 and 1, or both; bars (Primero); semicolons (Salesforce); several rows.
   Columns of 0 and 1 that ask for consent, or that are each an attribute of what is filled, stay apart.
4. Where neither the file nor a form says that a question takes several answers, cells of known codes with spaces between them do.
5. A name twice is refused, unless the tool writes it twice (exports with labels, fields of several versions of a form): then it is `name (2)`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from casehaven.intake.sandbox import columns as made
from casehaven.intake.sandbox.clean import clean_cells
from casehaven.intake.sandbox.columns import PlanColumn
from casehaven.intake.sandbox.faults import FaultError
from casehaven.intake.sandbox.headers import Laid
from casehaven.intake.sandbox.htcds import MULTIPLE
from casehaven.intake.sandbox.record_key import ROOTS
from casehaven.intake.sandbox.xlsform import Form, Question

KOBO_MARKS = frozenset(
    (
        "_id",
        "_uuid",
        "_submission_time",
        "_validation_status",
        "_notes",
        "_status",
        "_submitted_by",
        "__version__",
        "_tags",
        "_index",
        "_xform_id_string",
        "formhub/uuid",
        "meta/instanceID",
    )
)
ODK_MARKS = frozenset(
    (
        "KEY",
        "SubmissionDate",
        "SubmitterID",
        "SubmitterName",
        "AttachmentsPresent",
        "AttachmentsExpected",
        "ReviewState",
        "DeviceID",
        "FormVersion",
        "PARENT_KEY",
        "meta-instanceID",
    )
)
PRIMERO_MARKS = frozenset(
    (
        "case_id",
        "case_id_display",
        "short_id",
        "owned_by",
        "owned_by_agency_id",
        "created_by",
        "created_at",
        "last_updated_at",
        "module_id",
        "record_state",
        "unique_identifier",
        "registration_date",
        "protection_concerns",
        "risk_level",
        "consent_for_services",
        "case_status_reopened",
    )
)
SALESFORCE_MARKS = frozenset(
    (
        "Id",
        "OwnerId",
        "CreatedDate",
        "CreatedById",
        "LastModifiedDate",
        "LastModifiedById",
        "SystemModstamp",
        "IsDeleted",
        "RecordTypeId",
        "LastActivityDate",
    )
)
_TOOL_FIELDS = {
    "kobo": KOBO_MARKS
    | frozenset(
        (
            "start",
            "end",
            "today",
            "deviceid",
            "subscriberid",
            "simserial",
            "phonenumber",
            "username",
            "audit",
            "instanceID",
            "meta/rootUuid",
            "rootUuid",
            "meta/instanceName",
            "_attachments",
            "_geolocation",
            "_bamboo_dataset_id",
            "_media_all_received",
            "_parent_table_name",
            "_parent_index",
            "_submission__id",
            "_submission__uuid",
            "_submission__submission_time",
            "_submission__validation_status",
            "_submission__notes",
            "_submission__status",
            "_submission__submitted_by",
            "_submission___version__",
            "_submission__tags",
        )
    ),
    "odk-central": ODK_MARKS
    | frozenset(
        (
            "start",
            "end",
            "today",
            "deviceid",
            "username",
            "Status",
            "Edits",
            "meta-instanceName",
            "meta-entity-label",
            "instanceID",
            "__version__",
        )
    ),
    "primero": (PRIMERO_MARKS | {"model_type"})
    - {"protection_concerns", "risk_level", "registration_date", "consent_for_services"},
    "salesforce": SALESFORCE_MARKS,
}
_TWICE = frozenset(("kobo", "odk-central", "primero"))
_ID = re.compile(r"[A-Za-z0-9]{15}([A-Za-z0-9]{3})?")
_CODE = re.compile(r"[\w.\-]{1,64}")
_PREFIX = re.compile(r"^(?P<group>.+)/(?P<last>[^/]+)$")
FLAGS = frozenset(("", "0", "1", "0.0", "1.0", "TRUE", "FALSE", "True", "False", "true", "false"))
_FIELD = re.compile(r"[a-z][a-z0-9_]*")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CONSENT = re.compile("consent|agree|permission|autori[sz]|accord|acuerdo|موافق|اوافق")
_CODES_AT_MOST = 60
_TEXT_LENGTH = 80


def recognised(laid: Laid) -> str | None:
    """Return the tool whose marks a table bears, or None."""
    names = set(laid.names)
    if laid.template:
        return "htcds-template"
    if len(names & ODK_MARKS) >= 2 and names & {"KEY", "PARENT_KEY"}:
        return "odk-central"
    if len(names & KOBO_MARKS) >= 2:
        return "kobo"
    if len(names & PRIMERO_MARKS) >= 3 or _primero_by_id(laid):
        return "primero"
    custom = sum(1 for name in names if name.endswith("__c"))
    if (len(names & SALESFORCE_MARKS) >= 2 or custom >= 2) and ("Id" not in names or _salesforce_ids(laid)):
        return "salesforce"
    return None


def plan(laid: Laid, tool: str, form: Form | None, apart: Sequence[str] = ()) -> list[PlanColumn]:
    """Return the columns of a source.

    Args:
        laid: a table.
        tool: what wrote it.
        form: the form behind it.
        apart: names and labels of what is filled: columns that bear one are not joined with others.

    Raises:
        FaultError: a name is there twice, and the tool does not write such names.
    """
    notes = laid.notes
    names = _unique(laid.names, tool, notes)
    fields = _TOOL_FIELDS.get(tool, frozenset())
    flagged = _flag_groups(names, laid, tool, form)
    alone = [group for group, found in flagged.items() if _apart(laid, group, found[1], form, apart)]
    flagged = {group: found for group, found in flagged.items() if group not in alone}
    if alone:
        notes.append(
            f"columns of 0 and 1 were kept apart, because each is a question of its own: {', '.join(alone[:12])}"
        )
    taken = {position for _, flags in flagged.values() for position, _ in flags}
    taken |= {text for text, _ in flagged.values() if text is not None}
    planned: list[PlanColumn] = []
    for position, name in enumerate(names):
        group = next(
            (group for group, (text, flags) in flagged.items() if position == (flags[0][0] if text is None else text)),
            None,
        )
        if group is not None:
            text, flags = flagged[group]
            planned.append(
                PlanColumn(
                    name=group,
                    make=made.from_flags(text, flags),
                    labels=_last_part(group, tool),
                    options={option: option for _, option in flags},
                    multiple=True,
                )
            )
        elif name and position not in taken:
            role = "tool" if name in fields or (tool == "kobo" and name.startswith("_")) else "answer"
            planned.append(_column(laid, position, name, tool, role))
    if flagged:
        notes.append(
            f"columns of 0 and 1 were joined into one column of several answers: {', '.join(list(flagged)[:12])}"
        )
    spaced = [
        column.name
        for column in planned
        if column.multiple and column.name not in flagged and tool in ("kobo", "odk-central")
    ]
    if spaced:
        notes.append(f"codes with spaces between them were taken as several answers: {', '.join(spaced[:12])}")
    if tool == "odk-central":
        _refuse_encrypted(laid)
    if any("::" in cell for _, cells in laid.sample[:200] for cell in cells) and tool == "primero":
        places = [
            name
            for position, name in enumerate(names)
            if any("::" in cells[position] for _, cells in laid.sample[:200])
        ]
        notes.append(
            f"places are written from the largest to the smallest, with :: between them: {', '.join(places[:12])}"
        )
    return [_with_form(column, form) for column in planned] if form else planned


def _column(laid: Laid, position: int, name: str, tool: str, role: str) -> PlanColumn:
    make = made.copied(position)
    multiple = False
    sample = [cell for cell in clean_cells([cells[position] for _, cells in laid.sample]) if cell]
    if laid.names[position] in laid.multiple or (tool == "htcds-template" and name in MULTIPLE):
        make, multiple = made.split(position, made.by_semicolons), True
    elif tool == "kobo" and name in ROOTS:
        make = made.without_scheme(position)
    elif tool == "salesforce" and name == "Id":
        make = made.whole_ids(position)
    elif tool == "primero" and role == "answer":
        listed = any("|||" in cell or (cell.startswith("[") and cell.endswith("]")) for cell in sample)
        make, multiple = made.split(position, made.by_bars), listed
        if not listed and not any("|||" in cell for cell in sample):
            make = made.split(position, _bars_only)
    elif tool == "salesforce" and role == "answer" and _choices(sample, ";"):
        make, multiple = made.split(position, made.by_semicolons), True
    elif tool in ("kobo", "odk-central") and role == "answer" and _choices(sample, None):
        make, multiple = made.split(position, made.by_spaces), True
    return PlanColumn(
        name=name, make=make, labels=laid.labels[position] or _last_part(name, tool), multiple=multiple, role=role
    )


def _bars_only(cell: str) -> list[str]:
    """Split at bars if there are any; a cell without them stays as it is, whatever marks it holds."""
    return made.by_bars(cell) if "|||" in cell else [cell]


def _choices(sample: Sequence[str], separator: str | None) -> bool:
    """Tell whether cells are lists of a few codes that come again and again, some of several codes."""
    counts: Counter[str] = Counter()
    several = False
    for cell in sample:
        parts = [part.strip() for part in cell.split(separator)]
        parts = [part for part in parts if part]
        if len(parts) != len(set(parts)) or any(len(part) > _TEXT_LENGTH for part in parts):
            return False
        if separator is None and not all(_CODE.fullmatch(part) for part in parts):
            return False
        several = several or len(parts) > 1
        counts.update(parts)
    if not several or len(counts) > _CODES_AT_MOST:
        return False
    return sum(1 for count in counts.values() if count > 1) * 2 >= len(counts)


def _flag_groups(
    names: Sequence[str], laid: Laid, tool: str, form: Form | None
) -> dict[str, tuple[int | None, list[tuple[int, str]]]]:
    """Return, per question of several answers, the position of its codes and those of its columns of 0 and 1."""
    if tool not in ("kobo", "odk-central"):
        return {}
    inside: dict[str, list[tuple[int, str]]] = {}
    for position, name in enumerate(names):
        if found := _PREFIX.match(name):
            inside.setdefault(found["group"], []).append((position, found["last"]))
    groups: dict[str, tuple[int | None, list[tuple[int, str]]]] = {}
    for group, members in inside.items():
        if group in ("meta", "formhub"):
            continue
        asked = form.question(group) if form else None
        if form and asked is None and group not in names:
            continue  # the form knows no such question: a group
        if asked is not None and not asked.multiple:
            continue
        flags = [all(cells[position].strip() in FLAGS for _, cells in laid.sample) for position, _ in members]
        if group in names and any(flags):
            groups[group] = names.index(group), [member for member, flag in zip(members, flags, strict=True) if flag]
        elif (
            all(flags)
            and len(members) > 1
            and any(cells[at].strip() for _, cells in laid.sample for at, _ in members)
            and all(_whole(cells, members) for _, cells in laid.sample)
        ):
            groups[group] = None, members
    return groups


def _apart(laid: Laid, group: str, flags: Sequence[tuple[int, str]], form: Form | None, apart: Sequence[str]) -> bool:
    """Tell whether columns of 0 and 1 ask for consent, or one of them bears the name or a label of what is filled: then each says yes or no by itself."""
    asked = form.question(group) if form else None
    question = {_bare(text) for text in (group.rpartition("/")[2], *(asked.labels if asked else ()))}
    answers = set[str]()
    for position, option in flags:
        texts = (option, *laid.labels[position], *([asked.options.get(option, "")] if asked else ()))
        answers |= {_bare(text) for text in texts}
    if any(_CONSENT.search(text) for text in question | answers):
        return True
    return not (answers - {"", *question}).isdisjoint(
        map(_bare, apart)
    )  # a question may bear the name of what it fills


def _bare(text: str) -> str:
    """Return letters and digits alone, without case and accents."""
    return "".join(letter for letter in unicodedata.normalize("NFKD", text.casefold()) if letter.isalnum())


def _whole(cells: Sequence[str], members: Sequence[tuple[int, str]]) -> bool:
    """Tell whether a record answers all of some columns or none: one question was asked."""
    return len({bool(cells[position].strip()) for position, _ in members}) == 1


def _unique(names: Sequence[str], tool: str, notes: list[str]) -> list[str]:
    seen: Counter[str] = Counter()
    unique = []
    twice = []
    for name in names:
        seen[name] += bool(name)
        if seen[name] > 1:
            twice.append(name)
            name = f"{name} ({seen[name]})"
        unique.append(name)
    if twice and tool not in _TWICE:
        raise FaultError(
            "header",
            f"the header names a column twice: {', '.join(dict.fromkeys(twice))}; give each column a name of its own",
        )
    if twice:
        notes.append(f"names that are there more than once got a number: {', '.join(dict.fromkeys(twice))}")
    return unique


def _last_part(name: str, tool: str) -> tuple[str, ...]:
    """Return the name of a question without its groups."""
    mark = {"kobo": "/", "odk-central": "-"}.get(tool, "/")
    last = name.rpartition(mark)[2]
    return (last,) if last and last != name else ()


def _with_form(column: PlanColumn, form: Form | None) -> PlanColumn:
    question = form.question(column.name) if form else None
    if question is None or column.role == "tool":
        return column
    labels = tuple(
        dict.fromkeys((*column.labels, *(text for text in (question.name, *question.labels) if text != column.name)))
    )
    filled = replace(column, labels=labels, options={**column.options, **question.options})
    if question.multiple and not column.multiple:
        make = column.make
        return replace(filled, multiple=True, make=lambda block: _split_codes(make(block), question))
    return filled


def _split_codes(cells: Sequence[str], question: Question) -> list[str]:
    known = set(question.options) | set(question.options.values())
    return [cell if cell in known else made.joined(made.by_spaces(cell)) for cell in cells]


def _refuse_encrypted(laid: Laid) -> None:
    for name in ("Status", "__system/status"):
        position = laid.position(name)
        if position is not None and any("decrypt" in cells[position].lower() for _, cells in laid.sample):
            raise FaultError(
                "encrypted",
                "records are encrypted in ODK Central and cannot be read; export them there again and give the passphrase of the form's key",
            )


def _any_cell(laid: Laid, text: str) -> bool:
    return any(text in cell for _, cells in laid.sample for cell in cells)


def _primero_by_id(laid: Laid) -> bool:
    """Tell an export of Primero by its first column: `id`, before records under `data`, cells joined by bars, or names of fields after UUIDs."""
    if _first(laid).lower() != "id":
        return False
    names = [name for name in laid.names if name]
    if set(names) & PRIMERO_MARKS or _any_cell(laid, "|||") or any(name.startswith("data/") for name in names):
        return True
    position = laid.names.index(_first(laid))
    cells = [cells[position].strip() for _, cells in laid.sample]
    return bool(cells) and all(map(_UUID.fullmatch, cells)) and all(map(_FIELD.fullmatch, names))


def _first(laid: Laid) -> str:
    return next((name for name in laid.names if name), "")


def _salesforce_ids(laid: Laid) -> bool:
    position = laid.names.index("Id")
    found: Mapping[str, int] = Counter(cells[position].strip() for _, cells in laid.sample)
    return all(_ID.fullmatch(cell) for cell in found if cell)
