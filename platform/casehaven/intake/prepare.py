"""What leaves an organisation: records without identifiers and free text, under person tokens that the server cannot undo.

1. Kept: attributes with a public list of values, as codes of that list, and answers about consent. A cell that the list does not know is written as what the schema makes of it; its
   words stay behind. So no text that somebody typed is in the output.
2. Dropped: every identifier, all free text, every column that fills nothing, and rows that the mapping leaves behind.
3. The person key becomes a person token, the record key and the case reference become keyed hashes (`casehaven.intake.prepare_tokens`). Tokens are made when all files of the run are read:
   who is in several files under one person key has one token.
4. Order says nothing: records are sorted by their record key's hash.
5. No network and no vault is needed or used, and nothing is written but the sealed file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as replace_reading
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from casehaven.intake.dates import order_of
from casehaven.intake.errors import (
    ExistingPreparedFileError,
    NobodyToPrepareError,
    PersonColumnError,
    PublicKeyFileError,
    RefusedRowsError,
)
from casehaven.intake.linkage_key import LinkageKey
from casehaven.intake.mapped_file import RECORD_KEY, MappedFile
from casehaven.intake.prepare_tokens import (
    Numbers,
    person_tokens,
    record_token,
    reference_token,
    rule_of,
    token_columns,
    token_dates,
)
from casehaven.intake.public_key_file import OrganisationPublicKey
from casehaven.intake.sealed_upload import allowed_columns, seal_prepared
from caseschemas import CaseSchema, SchemaAttribute
from casesynth._files import write_whole

__all__ = ["Preparation", "prepare"]

_REFERENCE = "caseReference"
_MAKES = "#makes-token "
"""Before the name of an identifier that makes tokens; no attribute can begin so."""


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How records are prepared."""

    schema: CaseSchema
    organisation: str
    """Whose records they are."""
    to: OrganisationPublicKey
    """What they are sealed to."""
    key: LinkageKey
    """Of the agreement."""
    numbers: Numbers = "own"
    """Whether person keys are the organisation's own or the partners' together."""

    def __post_init__(self) -> None:
        if self.to.organisation != self.organisation:
            raise PublicKeyFileError(f"the public key is that of {self.to.organisation}, not of {self.organisation}")
        if self.schema.person_key is None:
            raise PersonColumnError(f"{self.schema.id} names no person key; the vault keeps records by person")


def prepare(files: Sequence[MappedFile], how: Preparation, out: Path, *, replace: bool = False) -> None:
    """Write the records of some files as one prepared file.

    Args:
        files: under a mapping in which nothing is guessed any more.
        how: whose they are, and whom they are for.
        out: where to; only its owner may read it.
        replace: whether a file that is there may be replaced.

    Raises:
        NobodyToPrepareError: no record is left to be sent.
        ExistingPreparedFileError: the file is there.
        OSError: it cannot be written; nothing is left of it.
    """
    read = [_prepared(file, how) for file in files]
    table = _once(_with_tokens(pa.concat_tables(read), how)).sort_by(RECORD_KEY)
    if not table.num_rows:
        raise NobodyToPrepareError("no record of these files is taken in under this mapping; nothing was written")
    sealed = seal_prepared(table, how.schema, rule_of(how.schema), how.key.fingerprint, how.to)
    try:
        write_whole(out, sealed, mode=0o600, replace=replace)
    except FileExistsError:
        raise ExistingPreparedFileError(f"{out} exists already; nothing was written") from None


def _once(table: pa.Table) -> pa.Table:
    """Return each record once. One record key with other content, in several files, is nobody's to decide: a refusal might be lost."""
    rows = table.group_by(table.column_names, use_threads=False).aggregate([])
    if len(pc.unique(rows.column(RECORD_KEY))) != rows.num_rows:
        refused = RefusedRowsError("some records are in several of these files with other content; nothing was written")
        refused.add_note(
            "prepare the files one by one, the oldest first: a later one corrects what an earlier one says"
        )
        raise refused
    return rows.select(table.column_names)


def _prepared(file: MappedFile, how: Preparation) -> pa.Table:
    """The records of one file, every column as text of the public list or as a keyed hash, but for the person key and what makes tokens."""
    schema, person = how.schema, str(how.schema.person_key)
    read = [name for name in allowed_columns(schema) if name not in (person, RECORD_KEY, _REFERENCE)]
    identifiers = token_columns(schema)
    names = {attribute.name for attribute in schema.attributes}
    wanted = [*read, person, RECORD_KEY, *identifiers, *([_REFERENCE] if _REFERENCE in names else [])]
    table = _whole(file, wanted)
    columns = {name: _coded(schema.attribute(name), table.column(name)) for name in read}
    columns[person] = pa.array(_texts(table, person), pa.string())
    if _REFERENCE in names:
        references = _texts(table, _REFERENCE)
        columns[_REFERENCE] = pa.array(
            [reference_token(how.key, how.organisation, one) for one in references], pa.string()
        )
    keys = _texts(table, RECORD_KEY)
    columns[RECORD_KEY] = pa.array([record_token(how.key, how.organisation, one) for one in keys], pa.string())
    prepared = {name: columns[name] for name in allowed_columns(schema) if name in columns}
    makes = {f"{_MAKES}{name}": _dated(file, schema, name, _texts(table, name)) for name in identifiers}
    return pa.table(prepared | {name: pa.array(cells, pa.string()) for name, cells in makes.items()})


def _with_tokens(table: pa.Table, how: Preparation) -> pa.Table:
    """Put a person token in place of each person key, and drop what it is made of."""
    person, identifiers = str(how.schema.person_key), token_columns(how.schema)
    tokens = person_tokens(
        how.key,
        how.schema,
        how.organisation,
        _texts(table, person),
        {name: _texts(table, f"{_MAKES}{name}") for name in identifiers},
        how.numbers,
    )
    table = table.drop_columns([f"{_MAKES}{name}" for name in identifiers])
    return table.set_column(table.column_names.index(person), person, pa.array(tokens, pa.string()))


def _whole(file: MappedFile, wanted: Sequence[str]) -> pa.Table:
    empty = {name: pa.array([], pa.string()) for name in wanted}
    batches = [
        pa.table({name: batch.column(name).cast(pa.string()) for name in wanted}) for batch in file.batches(wanted)
    ]
    return pa.concat_tables([pa.table(empty), *batches]).combine_chunks()


def _dated(file: MappedFile, schema: CaseSchema, name: str, cells: list[str]) -> list[str]:
    """Write dates of an identifier in one way, read as the mapping says or the column itself shows; what stays open stays as it is."""
    entry = file.mapping.attribute(name)
    if entry is None or name not in token_dates(schema):
        return cells
    reading = entry.dates
    if reading.order is None:
        reading = replace_reading(reading, order=order_of(cells).order)
    days = {cell: reading.span(cell) for cell in dict.fromkeys(cells)}
    return [day[0].isoformat() if (day := days[cell]) is not None and day[0] == day[1] else cell for cell in cells]


def _texts(table: pa.Table, name: str) -> list[str]:
    texts: list[str] = pc.fill_null(table.column(name), "").to_pylist()
    return texts


def _coded(attribute: SchemaAttribute, cells: pa.ChunkedArray) -> pa.Array:
    """Write each cell as codes of the public list, whatever stood there (rule 1)."""
    encoded = pc.fill_null(cells, "").combine_chunks()
    encoded = encoded.chunk(0) if isinstance(encoded, pa.ChunkedArray) else encoded
    encoded = encoded.dictionary_encode()
    between = attribute.separators[0] if attribute.separators else ""
    written = []
    no = next((place for place, value in enumerate(attribute.values) if value.missing == "no"), attribute.blank)
    unknown = no if attribute.role == "consent" else attribute.outside_position  # an unknown word is a refusal
    for cell in encoded.dictionary.to_pylist():
        if attribute.kind == "multi":
            found = attribute.codes_of(cell)
        else:
            position = attribute.code_of(cell)
            found = None if position is None else (position,)
        positions = (unknown,) if found is None else found
        written.append(between.join(attribute.values[position].code for position in positions))
    return pa.array(written, pa.string()).take(encoded.indices)
