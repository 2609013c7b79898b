"""What a steward signs an agreement with, and whether it holds.

1. Whoever has a passkey signs with it: its assertion is over a challenge that is a hash of the document's digest, the organisation and the handle. It fits no other document,
   organisation or member, so it needs no secret of the service, and the worker checks it without trusting the api that brought it.
2. Whoever has no passkey signs by the second factor that their session has just given. The worker finds that session in the store: it takes the store's word for it.
3. A passkey must have verified the person (PIN, finger, face), at this service's address.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, select
from webauthn import verify_authentication_response
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.exceptions import WebAuthnException

from casehaven.agreements.errors import AgreementSignatureError
from casehaven.organisations.access import STEP_UP_SECONDS
from casehaven.signin.models import passkey, session
from casesynth.canonical import canonical_json

CONTEXT: Final = "casehaven-agreement-signature/1"


def signing_challenge(digest: str, organisation: str, handle: str) -> bytes:
    """Return what a passkey signs (rule 1)."""
    said = {"context": CONTEXT, "digest": digest, "organisation": organisation, "handle": handle}
    return hashlib.sha256(canonical_json(said)).digest()


def has_passkey(connection: Connection, member: str) -> bool:
    """Whether a member, by their row's name, has a passkey."""
    return connection.execute(select(passkey.c.id).where(passkey.c.member == member)).first() is not None


def check_assertion(
    connection: Connection, unverified: Mapping[str, Any], *, member: str, challenge: bytes, origin: str, rp_id: str
) -> str:
    """Return a passkey's assertion as canonical JSON when it is this member's, over this challenge.

    Raises:
        AgreementSignatureError: it is anything else.
    """
    try:
        credential = base64url_to_bytes(str(unverified["rawId"]))
        row = connection.execute(
            select(passkey).where(passkey.c.credential == credential, passkey.c.member == member)
        ).first()
        if row is None:
            raise AgreementSignatureError
        verify_authentication_response(
            credential=dict(unverified),
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=origin,
            credential_public_key=bytes(row.public_key),
            credential_current_sign_count=0,  # the challenge is of this document alone: nothing to replay, so nothing to count
            require_user_verification=True,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError):
        raise AgreementSignatureError from None
    return canonical_json(json.loads(json.dumps(dict(unverified)))).decode("utf-8")


def check_second_factor(connection: Connection, *, member: str, session_id: object, asked_at: int) -> None:
    """Return when a session of the member had given a second factor shortly before the signature was asked for (rule 2).

    Raises:
        AgreementSignatureError: there is no such session.
    """
    row = connection.execute(
        select(session.c.stepped_up_at).where(
            session.c.id == str(session_id), session.c.member == member, session.c.kind == "full"
        )
    ).first()
    if row is None or row.stepped_up_at is None or not 0 <= asked_at - row.stepped_up_at < STEP_UP_SECONDS:
        raise AgreementSignatureError
