"""Who signed a release: Ed25519 keys, fingerprints, signatures over a manifest, and the trust store.

1. A *signing key* is an Ed25519 private key in a PKCS#8 PEM file with permissions 0600, with a passphrase if the holder wants one. A key
   file that others may read is refused. A key file is never overwritten.
2. A *fingerprint* is `SHA256:` and the base64 (no padding) of the SHA-256 of the 32 raw bytes of the public key.
3. A signature covers `casehaven-release-manifest/1`, a newline, the length of the manifest in 8 bytes, big end first, and the manifest.
   The prefix keeps a signature made for a manifest from being good for anything else that the same key signs. An approval has a prefix of its own.
4. A *trust store* is a JSON file of names, fingerprints and public keys that somebody compared over another channel. A signature by a
   key that is not in it is valid at most, never trusted.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from casesynth._files import FileTooLargeError, NotRegularFileError, open_regular, read_regular, write_whole
from casesynth.canonical import JsonFaultError, canonical_json, parse_json
from casesynth.errors import CasesynthError

SIGNATURE_FORMAT = "casehaven-signature/1"
TRUST_FORMAT = "casehaven-trust/1"
MANIFEST_CONTEXT = b"casehaven-release-manifest/1\n"
DECISION_CONTEXT = b"casehaven-release-decision/1\n"
APPROVAL_CONTEXT = b"casehaven-k-approval/1\n"
RAISE_CONTEXT = b"casehaven-budget-raise/1\n"
STATEMENT_CONTEXT = b"casehaven-budget-statement/1\n"
REGISTRY_CONTEXT = b"casehaven-registry-log/1\n"
ALGORITHM = "Ed25519"

_KEY_BYTES = 32
_SIGNATURE_BYTES = 64
_KEY_FILE_LIMIT = 16_384
_TRUST_FILE_LIMIT = 4_194_304
_NAME_LIMIT = 120


class SigningKeyError(CasesynthError):
    """A signing key file that is missing, is there already, is not an Ed25519 key, or does not open with the passphrase."""


class PassphraseNeededError(SigningKeyError):
    """A signing key file that is encrypted, and no passphrase was given."""


class LooseKeyFileError(SigningKeyError):
    """A signing key file that other users of the machine may read or change."""


class PublicKeyError(CasesynthError):
    """Text or bytes that are not an Ed25519 public key."""


class BadSignatureError(CasesynthError):
    """A signature that is missing, malformed, or was not made over these bytes by this key."""


class TrustStoreError(CasesynthError):
    """A trust store that cannot be read, or an entry that contradicts one it holds."""


@dataclass(frozen=True, kw_only=True)
class PublicKey:
    """The public half of a signing key.

    >>> PublicKey(raw=bytes(32)).fingerprint
    'SHA256:Zmh6rfhivXdsj8GLjp+OIAiXFIVu4jOzkCpZHQ1fKSU'
    """

    raw: bytes
    """The 32 bytes of RFC 8032."""

    def __post_init__(self) -> None:
        if not isinstance(self.raw, bytes) or len(self.raw) != _KEY_BYTES:
            raise PublicKeyError(f"a public key has {_KEY_BYTES} bytes")

    @property
    def text(self) -> str:
        """The key in base64, as files and messages carry it."""
        return base64.b64encode(self.raw).decode("ascii")

    @property
    def fingerprint(self) -> str:
        """The short form that two people can compare by voice."""
        return "SHA256:" + base64.b64encode(hashlib.sha256(self.raw).digest()).decode("ascii").rstrip("=")

    @staticmethod
    def parse(text: str) -> PublicKey:
        """Read a public key from its base64.

        Raises:
            PublicKeyError: the text is not the base64 of 32 bytes.
        """
        return PublicKey(raw=_unbase64(text.strip(), _KEY_BYTES, PublicKeyError, "public key"))


@dataclass(frozen=True, kw_only=True)
class ManifestSignature:
    """A signature over a manifest, with the public key that it claims: the content of `manifest.sig`."""

    public_key: PublicKey
    """The key that the file names; valid says nothing about whether it is trusted."""
    signature: bytes
    """64 bytes, Ed25519."""

    def to_bytes(self) -> bytes:
        """The canonical bytes of `manifest.sig`."""
        return canonical_json(
            {
                "format": SIGNATURE_FORMAT,
                "algorithm": ALGORITHM,
                "public_key": self.public_key.text,
                "fingerprint": self.public_key.fingerprint,
                "signature": base64.b64encode(self.signature).decode("ascii"),
            }
        )

    def verify(self, unverified_manifest: bytes) -> None:
        """Check that the key named here signed exactly these bytes.

        Raises:
            BadSignatureError: it did not.
        """
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key.raw).verify(
                self.signature, _message(unverified_manifest)
            )
        except (InvalidSignature, ValueError):
            raise BadSignatureError(
                f"the signature of {self.public_key.fingerprint} does not fit manifest.json: one of them was changed after signing"
            ) from None


def parse_signature(unverified: bytes) -> ManifestSignature:
    """Read the content of `manifest.sig`.

    Raises:
        BadSignatureError: it is not exactly the format, or its fingerprint is not that of its key.
    """
    try:
        fields = _fields(parse_json(unverified, "manifest.sig"), "manifest.sig", SIGNATURE_FORMAT)
    except JsonFaultError as error:
        raise BadSignatureError(str(error)) from None
    expected = {"format", "algorithm", "public_key", "fingerprint", "signature"}
    if set(fields) != expected or fields["algorithm"] != ALGORITHM:
        raise BadSignatureError(
            f"manifest.sig must have the fields {', '.join(sorted(expected))} and the algorithm {ALGORITHM}"
        )
    key = PublicKey(raw=_unbase64(fields["public_key"], _KEY_BYTES, BadSignatureError, "public key of manifest.sig"))
    signature = _unbase64(fields["signature"], _SIGNATURE_BYTES, BadSignatureError, "signature of manifest.sig")
    if fields["fingerprint"] != key.fingerprint:
        raise BadSignatureError("the fingerprint in manifest.sig is not the fingerprint of the public key in it")
    return ManifestSignature(public_key=key, signature=signature)


def _check(key: PublicKey, signature: bytes, message: bytes, what: str, of: str) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key.raw).verify(signature, message)
    except (InvalidSignature, ValueError):
        raise BadSignatureError(f"the {what} of {key.fingerprint} does not fit {of}") from None


def verify_decision(key: PublicKey, unverified_decision: bytes, signature: bytes) -> None:
    """Check that a key signed exactly these bytes of a decision about a release.

    Raises:
        BadSignatureError: it did not.
    """
    _check(key, signature, _message(unverified_decision, DECISION_CONTEXT), "signature", "the decision")


def verify_approval(key: PublicKey, signature: bytes, request: bytes) -> None:
    """Check that a key approved exactly this request.

    Raises:
        BadSignatureError: it did not.
    """
    _check(key, signature, _message(request, APPROVAL_CONTEXT), "approval", "its request")


def verify_raise(key: PublicKey, signature: bytes, request: bytes) -> None:
    """Check that a key approved exactly this request to raise a cap.

    Raises:
        BadSignatureError: it did not.
    """
    _check(key, signature, _message(request, RAISE_CONTEXT), "approval", "its request")


def verify_statement(key: PublicKey, signature: bytes, unverified_statement: bytes) -> None:
    """Check that a key signed exactly these bytes of a public statement of cumulative loss.

    Raises:
        BadSignatureError: it did not.
    """
    _check(key, signature, _message(unverified_statement, STATEMENT_CONTEXT), "signature", "the statement")


def verify_registry_entry(key: PublicKey, signature: bytes, unverified_entry: bytes) -> None:
    """Check that a key signed exactly these bytes of an entry of a registry's public log.

    Raises:
        BadSignatureError: it did not.
    """
    _check(key, signature, _message(unverified_entry, REGISTRY_CONTEXT), "signature", "the entry")


class SigningKey:
    """An Ed25519 private key. Its `repr` shows the fingerprint, never the key.

    >>> key = SigningKey.create()
    >>> key.sign_manifest(b"{}").verify(b"{}")
    """

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    @staticmethod
    def create() -> SigningKey:
        """Make a new key from the operating system's generator."""
        return SigningKey(Ed25519PrivateKey.generate())

    @property
    def public_key(self) -> PublicKey:
        """The half that everyone may have."""
        return PublicKey(raw=self._private.public_key().public_bytes_raw())

    def __repr__(self) -> str:
        return f"SigningKey({self.public_key.fingerprint})"

    def sign_manifest(self, manifest: bytes) -> ManifestSignature:
        """Sign the bytes of a manifest, and nothing else (rule 3)."""
        return ManifestSignature(public_key=self.public_key, signature=self._private.sign(_message(manifest)))

    def sign_registry_entry(self, entry: bytes) -> bytes:
        """Sign the bytes of an entry of a registry's public log, and nothing else (rule 3); 64 bytes."""
        return self._private.sign(_message(entry, REGISTRY_CONTEXT))

    def sign_decision(self, decision: bytes) -> bytes:
        """Sign the bytes of a decision about a release, and nothing else (rule 3); 64 bytes."""
        return self._private.sign(_message(decision, DECISION_CONTEXT))

    def sign_approval(self, request: bytes) -> bytes:
        """Sign the bytes of a request that two people must approve; good for nothing else (rule 3)."""
        return self._private.sign(_message(request, APPROVAL_CONTEXT))

    def sign_raise(self, request: bytes) -> bytes:
        """Sign the bytes of a request to raise a cap, which two people must approve; good for nothing else (rule 3)."""
        return self._private.sign(_message(request, RAISE_CONTEXT))

    def sign_statement(self, statement: bytes) -> bytes:
        """Sign the bytes of a public statement of cumulative loss, and nothing else (rule 3); 64 bytes."""
        return self._private.sign(_message(statement, STATEMENT_CONTEXT))

    def save(self, path: Path, passphrase: bytes | None = None) -> None:
        """Write the key to a new PEM file with permissions 0600, whole or not at all.

        Args:
            path: the file; it must not exist.
            passphrase: encrypts the file; at least one byte.

        Raises:
            SigningKeyError: the file exists, cannot be written, or the passphrase is empty.
        """
        if passphrase is not None and not passphrase:
            raise SigningKeyError("the passphrase is empty; give one, or none at all")
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase is not None:
            encryption = serialization.BestAvailableEncryption(passphrase)
        pem = self._private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        try:
            write_whole(path, pem, mode=0o600, replace=False)
        except FileExistsError:
            raise SigningKeyError(f"{path} exists already; a signing key is never overwritten") from None
        except OSError as error:
            raise SigningKeyError(f"{path} cannot be written: {error.strerror}") from None

    @staticmethod
    def load(path: Path, passphrase: bytes | None = None) -> SigningKey:
        """Read a key from a PEM file that its owner alone may read.

        Raises:
            LooseKeyFileError: others may read or change the file.
            PassphraseNeededError: it is encrypted and no passphrase was given.
            SigningKeyError: the file is missing, is not an Ed25519 key, or does not open with the passphrase.
        """
        try:
            with open_regular(path, follow=True) as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                if mode & 0o077:
                    raise LooseKeyFileError(f"{path} has permissions {mode:04o}, expected 0600: others may read it")
                unverified_pem = file.read(_KEY_FILE_LIMIT)
        except FileNotFoundError:
            raise SigningKeyError(f"there is no signing key at {path}") from None
        except NotRegularFileError:
            raise SigningKeyError(f"{path} is not a regular file") from None
        except OSError as error:
            raise SigningKeyError(f"{path} cannot be read: {error.strerror}") from None
        try:
            private = serialization.load_pem_private_key(unverified_pem, passphrase)
        except TypeError:
            if passphrase is None:
                raise PassphraseNeededError(f"{path} needs a passphrase") from None
            raise SigningKeyError(f"{path} has no passphrase, but one was given") from None
        except (ValueError, UnsupportedAlgorithm):
            reason = "is not a PEM private key" if passphrase is None else "does not open with this passphrase"
            raise SigningKeyError(f"{path} {reason}") from None
        if not isinstance(private, Ed25519PrivateKey):
            raise SigningKeyError(f"{path} holds another kind of key, expected Ed25519")
        return SigningKey(private)


@dataclass(frozen=True, kw_only=True)
class TrustedSigner:
    """A signer whose key somebody compared over another channel."""

    name: str
    """What people call the signer; at most 120 printable characters, no space at either end."""
    public_key: PublicKey
    """The key that was compared."""

    def __post_init__(self) -> None:
        name = self.name
        if not name or len(name) > _NAME_LIMIT or name != name.strip() or not name.isprintable():
            raise TrustStoreError(
                f"a signer's name has 1 to {_NAME_LIMIT} printable characters and no space at either end"
            )


@dataclass(frozen=True, kw_only=True)
class TrustStore:
    """The signers that are trusted here. Immutable: `add` returns a new store.

    >>> store = TrustStore().add("Aid Office", PublicKey(raw=bytes(32)))
    >>> store.lookup(PublicKey(raw=bytes(32))).name
    'Aid Office'
    """

    signers: tuple[TrustedSigner, ...] = ()
    """In the order in which they were added; no name and no key twice."""

    def __post_init__(self) -> None:
        if len({signer.name.casefold() for signer in self.signers}) != len(self.signers):
            raise TrustStoreError("a name occurs twice in the trust store")
        if len({signer.public_key.raw for signer in self.signers}) != len(self.signers):
            raise TrustStoreError("a key occurs twice in the trust store")

    def lookup(self, key: PublicKey) -> TrustedSigner | None:
        """The signer who holds this very key (all of it, not its fingerprint), or None."""
        return next((signer for signer in self.signers if hmac.compare_digest(signer.public_key.raw, key.raw)), None)

    def add(self, name: str, key: PublicKey) -> TrustStore:
        """A store that trusts this signer too; the same store when it does already.

        Raises:
            TrustStoreError: the name stands for another key here, or the key for another name.
        """
        known = self.lookup(key)
        if known is not None:
            if known.name == name:
                return self
            raise TrustStoreError(f"{key.fingerprint} is trusted already, under the name {known.name!r}")
        other = next((signer for signer in self.signers if signer.name.casefold() == name.casefold()), None)
        if other is not None:
            raise TrustStoreError(
                f"the name {other.name!r} stands for {other.public_key.fingerprint} here; use another name"
            )
        return TrustStore(signers=(*self.signers, TrustedSigner(name=name, public_key=key)))

    def save(self, path: Path) -> None:
        """Write the store, whole or not at all.

        Raises:
            TrustStoreError: the file cannot be written.
        """
        entries = [
            {"name": s.name, "fingerprint": s.public_key.fingerprint, "public_key": s.public_key.text}
            for s in self.signers
        ]
        try:
            write_whole(path, canonical_json({"format": TRUST_FORMAT, "signers": entries}), mode=0o644, replace=True)
        except OSError as error:
            raise TrustStoreError(f"{path} cannot be written: {error.strerror}") from None

    @staticmethod
    def load(path: Path) -> TrustStore:
        """Read a store.

        Raises:
            TrustStoreError: the file is missing or is not a trust store; the message says what is wrong with which entry.
        """
        try:
            unverified = parse_json(read_regular(path, limit=_TRUST_FILE_LIMIT, follow=True), path.name)
            fields = _fields(unverified, path.name, TRUST_FORMAT)
        except FileNotFoundError:
            raise TrustStoreError(f"there is no trust store at {path}") from None
        except OSError as error:
            raise TrustStoreError(f"{path} cannot be read: {error.strerror}") from None
        except (JsonFaultError, BadSignatureError, NotRegularFileError, FileTooLargeError) as error:
            raise TrustStoreError(str(error)) from None
        entries = fields.get("signers")
        if set(fields) != {"format", "signers"} or not isinstance(entries, list):
            raise TrustStoreError(f"{path.name} must have the fields format and signers")
        return TrustStore(signers=tuple(_signer(entry, f"{path.name} signers/{i}") for i, entry in enumerate(entries)))


def _signer(unverified: object, where: str) -> TrustedSigner:
    if not isinstance(unverified, Mapping) or set(unverified) != {"name", "fingerprint", "public_key"}:
        raise TrustStoreError(f"{where} must have the fields name, fingerprint and public_key")
    key = PublicKey(raw=_unbase64(unverified["public_key"], _KEY_BYTES, TrustStoreError, f"public key of {where}"))
    if unverified["fingerprint"] != key.fingerprint:
        raise TrustStoreError(f"{where}: the fingerprint is not that of the public key; the entry was changed by hand")
    if not isinstance(unverified["name"], str):
        raise TrustStoreError(f"{where}: the name must be text")
    return TrustedSigner(name=unverified["name"], public_key=key)


def _message(signed: bytes, context: bytes = MANIFEST_CONTEXT) -> bytes:
    return context + len(signed).to_bytes(8, "big") + signed


def _fields(unverified: object, what: str, expected_format: str) -> Mapping[str, object]:
    if not isinstance(unverified, Mapping) or unverified.get("format") != expected_format:
        raise JsonFaultError(f"{what}: expected the format {expected_format}")
    return unverified


def _unbase64(text: object, size: int, fault: type[CasesynthError], what: str) -> bytes:
    if not isinstance(text, str):
        raise fault(f"the {what} must be base64 text")
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise fault(f"the {what} is not base64") from None
    if (
        len(raw) != size or base64.b64encode(raw).decode("ascii") != text
    ):  # one text per key, so that nothing hides in padding
        raise fault(f"the {what} must be the base64 of {size} bytes")
    return raw
