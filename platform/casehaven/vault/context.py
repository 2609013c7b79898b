"""What a ciphertext belongs to: the seal context, and the one way to write it down.

1. Every ciphertext of the vault is bound to a *seal context*: its kind, organisation, dataset, version, object id and schema. A ciphertext
   that is moved to another place has another context there, and does not open (threat 4).
2. The encoding is injective: each field carries its length, fields are never joined with a separator, and the version has a fixed width. Two
   contexts with equal bytes are equal contexts.
3. The encoding is canonical and stays as it is for ever: `docs/spec/vault-format.md` and the vectors in `tests/vectors/vault/` hold it still.
   Text is taken byte by byte, without normalisation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, TypeAlias, get_args

from casehaven.vault.errors import SealContextError

Kind: TypeAlias = Literal[
    "record",
    "chunk",
    "detail",
    "upload",
    "escrow",
    "person-key",
    "chunk-key",
    "epoch-key",
    "organisation-key",
    "hpke-key",
    "index-key",
    "vault-key",
]
"""What is sealed. The kinds that end in `-key` are wrapped keys."""

KINDS: Final[frozenset[str]] = frozenset(get_args(Kind))
VERSION_MAX: Final = 2**63 - 1
FIELD_BYTES_MAX: Final = 1 << 16

_LABEL: Final = b"casehaven-vault-context/1"


def prefixed(data: bytes) -> bytes:
    """The bytes after their length, in 4 bytes with the big end first.

    >>> prefixed(b"ab")
    b'\\x00\\x00\\x00\\x02ab'
    """
    return len(data).to_bytes(4, "big") + data


_BEGIN: Final = {kind: prefixed(_LABEL) + prefixed(kind.encode("ascii")) for kind in KINDS}
_VERSION_LENGTH: Final = (8).to_bytes(4, "big")


@dataclass(frozen=True, kw_only=True, slots=True)
class SealContext:
    """Where a ciphertext belongs. Whoever opens it states the same context again.

    >>> north = SealContext(kind="record", organisation="north", dataset="cases", version=1, object_id="7")
    >>> south = SealContext(kind="record", organisation="south", dataset="cases", version=1, object_id="7")
    >>> north.encode() == south.encode()
    False
    """

    kind: Kind
    """What is sealed."""
    organisation: str
    """Whose it is; empty for keys of the whole vault."""
    dataset: str = ""
    """The dataset's name; empty where the object is in none."""
    version: int = 0
    """Version of the dataset, or of the key that wraps; 0 to 2^63 - 1."""
    object_id: str = ""
    """Identifier of the record, person, chunk, epoch or key."""
    schema: str = ""
    """Identifier of the schema with its version, where the content has one."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SealContextError("a seal context has an unknown kind; see casehaven.vault.context.Kind")
        if type(self.version) is not int or not 0 <= self.version <= VERSION_MAX:
            raise SealContextError(f"the version of a {self.kind} context must be a whole number from 0 to 2^63 - 1")
        if not (
            type(self.organisation) is str
            and type(self.dataset) is str
            and type(self.object_id) is str
            and type(self.schema) is str
        ):
            raise SealContextError(
                f"organisation, dataset, object id and schema of a {self.kind} context must be text (str)"
            )

    def encode(self) -> bytes:
        """The canonical bytes (rule 2): label, kind, organisation, dataset, version, object id, schema, each after its length.

        Raises:
            SealContextError: a text is not Unicode, or longer than 65,536 bytes.
        """
        return b"".join(
            (
                _BEGIN[self.kind],
                _often(self.kind, self.organisation),
                _often(self.kind, self.dataset),
                _VERSION_LENGTH,
                self.version.to_bytes(8, "big"),
                _field(self.kind, self.object_id),
                _often(self.kind, self.schema),
            )
        )


def _field(kind: Kind, text: str) -> bytes:
    """Return a text of a context after its length."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise SealContextError(f"a text of a {kind} context is not Unicode") from None
    if len(data) > FIELD_BYTES_MAX:
        raise SealContextError(f"a text of a {kind} context is longer than {FIELD_BYTES_MAX} bytes")
    return prefixed(data)


_often = lru_cache(maxsize=128)(_field)
"""`_field` of what a whole dataset has in common: names, which are public."""
