"""Passkeys: sign-in with a key that stays in the member's device and works at this address only.

1. A challenge is 32 random bytes, lives five minutes, and is answered once: the answer deletes it, right or wrong. It is bound to its purpose and, except for signing in, to the member
   or session that asked for it.
2. Passkeys are discoverable (nobody types a handle), need the person's presence and verification (PIN, finger, face), and are bound to the site's host and origin.
3. A signature counter that does not grow means that there is a copy: the passkey is refused. Passkeys that never count say 0 every time.
4. The device is not asked to attest its make: that would tell who uses which device.
5. The library's words never leave this module.
6. What a member signs for good (an agreement, a draft, a job) has a challenge of its own: a hash of what is signed and of who signs. It fits nothing else, so nothing is remembered of
   it and nothing counted, and the worker checks it without trusting the api that brought it.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, update
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from casehaven.organisations.members import Member
from casehaven.signin.errors import BrokenPasskeyError
from casehaven.signin.models import challenge, passkey
from casehaven.signin.secrets_made import digest
from casehaven.signin.site import Site
from casesynth.canonical import canonical_json

CHALLENGE_SECONDS: Final = 300
SIGN_IN: Final = "sign-in"

_CHALLENGE_BYTES: Final = 32
_NAME_CHARACTERS: Final = 60
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, kw_only=True)
class Passkey:
    """A passkey as its owner sees it."""

    id: str
    """Its public name."""
    member: str
    """The owner's row."""
    name: str
    """What the owner calls it."""
    made_at: int
    used_at: int | None


def registration_options(connection: Connection, site: Site, member: Member) -> dict[str, Any]:
    """Return what a browser needs to make a passkey for a member; `add_passkey` takes its answer."""
    known = connection.scalars(select(passkey.c.credential).where(passkey.c.member == member.id))
    options = generate_registration_options(
        rp_id=site.rp_id,
        rp_name="Casehaven",
        user_id=bytes.fromhex(member.id),
        user_name=member.handle,
        challenge=_new_challenge(connection, site, f"register:{member.id}"),
        timeout=CHALLENGE_SECONDS * 1000,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=bytes(credential)) for credential in known],
    )
    return _document(options_to_json(options))


def add_passkey(
    connection: Connection, site: Site, member: Member, unverified: dict[str, Any], *, name: str
) -> Passkey:
    """Store the passkey that a browser made.

    Args:
        connection: of a writing transaction; what it deleted stays deleted only if it is committed, so the caller commits on errors too.
        site: where.
        member: whose.
        unverified: the browser's answer to `registration_options`.
        name: what the owner calls it.

    Raises:
        BrokenPasskeyError: it is not an answer to a challenge of this member, or the device did not verify the person.
    """
    expected = _take_challenge(connection, site, unverified, f"register:{member.id}")
    try:
        verified = verify_registration_response(
            credential=unverified,
            expected_challenge=expected,
            expected_rp_id=site.rp_id,
            expected_origin=site.origin,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        raise BrokenPasskeyError from None
    taken = connection.execute(select(passkey.c.id).where(passkey.c.credential == verified.credential_id)).first()
    label = "".join(character for character in name if character.isprintable()).strip()[:_NAME_CHARACTERS] or "passkey"
    if taken is not None:
        raise BrokenPasskeyError
    made = Passkey(id=secrets.token_hex(16), member=member.id, name=label, made_at=site.clock(), used_at=None)
    connection.execute(
        insert(passkey).values(
            credential=verified.credential_id,
            public_key=verified.credential_public_key,
            sign_count=verified.sign_count,
            **vars(made),
        )
    )
    return made


def authentication_options(connection: Connection, site: Site, purpose: str = SIGN_IN) -> dict[str, Any]:
    """Return what a browser needs to sign with a passkey.

    Args:
        connection: of a writing transaction.
        site: where.
        purpose: `SIGN_IN`, or what else the signature is for and for whom.
    """
    options = generate_authentication_options(
        rp_id=site.rp_id,
        challenge=_new_challenge(connection, site, purpose),
        timeout=CHALLENGE_SECONDS * 1000,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return _document(options_to_json(options))


def verify_passkey(connection: Connection, site: Site, unverified: dict[str, Any], purpose: str = SIGN_IN) -> Passkey:
    """Return the passkey that signed a challenge of this purpose.

    Args:
        connection: of a writing transaction; the caller commits on errors too, so that the challenge is gone.
        site: where.
        unverified: the browser's answer to `authentication_options`.
        purpose: as it was asked for.

    Raises:
        BrokenPasskeyError: unknown passkey, unknown or old challenge, another purpose, another origin, no verification of the person, a wrong
            signature, or a counter that does not grow.
    """
    expected = _take_challenge(connection, site, unverified, purpose)
    row, count = _signed(connection, unverified, expected, origin=site.origin, rp_id=site.rp_id)
    connection.execute(update(passkey).where(passkey.c.id == row.id).values(sign_count=count, used_at=site.clock()))
    return Passkey(id=row.id, member=row.member, name=row.name, made_at=row.made_at, used_at=site.clock())


def passkeys_of(connection: Connection, member: str) -> list[Passkey]:
    """Return a member's passkeys, the oldest first."""
    rows = connection.execute(
        select(passkey.c.id, passkey.c.member, passkey.c.name, passkey.c.made_at, passkey.c.used_at)
        .where(passkey.c.member == member)
        .order_by(passkey.c.made_at, passkey.c.id)
    )
    return [Passkey(**row._mapping) for row in rows]


def has_passkey(connection: Connection, member: str) -> bool:
    """Whether a member, by their row's name, has a passkey."""
    return connection.execute(select(passkey.c.id).where(passkey.c.member == member)).first() is not None


def check_assertion(
    connection: Connection, unverified: Mapping[str, Any], *, member: str, challenge: bytes, origin: str
) -> str:
    """Return a passkey's assertion as canonical JSON when it is this member's, over this challenge (rule 6).

    Raises:
        BrokenPasskeyError: it is anything else.
    """
    mine, host = passkey.c.member == member, urlsplit(origin).hostname or ""
    _signed(connection, unverified, challenge, mine, origin=origin, rp_id=host, counted=False)
    return canonical_json(json.loads(json.dumps(dict(unverified)))).decode("utf-8")


def _signed(
    connection: Connection,
    unverified: Mapping[str, Any],
    challenge: bytes,
    *whose: ColumnElement[bool],
    origin: str,
    rp_id: str,
    counted: bool = True,
) -> tuple[Row[Any], int]:
    """Return the row of the passkey that signed a challenge, and what its counter says now (rules 2 and 3)."""
    try:
        credential = base64url_to_bytes(str(unverified["rawId"]))
        row = connection.execute(select(passkey).where(passkey.c.credential == credential, *whose)).first()
        if row is None:
            raise BrokenPasskeyError
        verified = verify_authentication_response(
            credential=dict(unverified),
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=origin,
            credential_public_key=bytes(row.public_key),
            credential_current_sign_count=row.sign_count if counted else 0,
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        raise BrokenPasskeyError from None
    return row, verified.new_sign_count


def _new_challenge(connection: Connection, site: Site, purpose: str) -> bytes:
    value = secrets.token_bytes(_CHALLENGE_BYTES)
    now = site.clock()
    connection.execute(delete(challenge).where(challenge.c.ends_at <= now))
    connection.execute(
        insert(challenge).values(
            digest=digest("challenge", value.hex()), purpose=purpose, ends_at=now + CHALLENGE_SECONDS
        )
    )
    return value


def _take_challenge(connection: Connection, site: Site, unverified: dict[str, Any], purpose: str) -> bytes:
    """Delete the challenge that an answer names, and return it when it was asked for this purpose and is young enough (rule 1)."""
    try:
        client = _document(base64url_to_bytes(str(unverified["response"]["clientDataJSON"])).decode("utf-8"))
        text = client["challenge"]
        if not isinstance(text, str) or not _CHALLENGE.fullmatch(text):
            raise BrokenPasskeyError
        value = base64url_to_bytes(text)
    except (KeyError, TypeError, ValueError, RecursionError):
        raise BrokenPasskeyError from None
    found = delete(challenge).where(challenge.c.digest == digest("challenge", value.hex()))
    row = connection.execute(found.returning(challenge.c.purpose, challenge.c.ends_at)).first()
    if row is None or row.purpose != purpose or row.ends_at <= site.clock():
        raise BrokenPasskeyError
    return value


def _document(text: str) -> dict[str, Any]:
    found = json.loads(text)
    if not isinstance(found, dict):
        raise BrokenPasskeyError
    return found
