"""What the routes of agreements and of drafts take when a member signs the digest of a document, and how they ask the worker to look at it (`casehaven.worker.signatures`)."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from fastapi import Request
from fastapi.responses import Response
from pydantic import Field

from casehaven.core.web import Body, Service
from casehaven.organisations.access import Principal
from casehaven.routes.asking import Asked, ask_worker

Base64 = Annotated[str, Field(pattern=r"^[A-Za-z0-9_=-]{1,4000}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class AssertionResponse(Body):
    """What a passkey said."""

    client_data: Annotated[Base64, Field(alias="clientDataJSON")]
    authenticator_data: Annotated[Base64, Field(alias="authenticatorData")]
    signature: Base64
    user_handle: Annotated[Base64 | None, Field(alias="userHandle")] = None


class Assertion(Body):
    """A passkey's assertion, as browsers write it; nothing else of it is sent."""

    id: Base64
    raw_id: Annotated[Base64, Field(alias="rawId")]
    type: Literal["public-key"]
    response: AssertionResponse


class Naming(Body):
    """Which document a member means."""

    digest: Digest
    """Of the document that was read."""


class Signing(Naming):
    """What a member signs."""

    assertion: Assertion | None = None
    """Of the member's passkey over the challenge; none where they have no passkey."""


def challenge_document(digest: str, challenge: bytes) -> dict[str, Any]:
    """Return what a passkey signs, for the page that asks it to."""
    text = base64.urlsafe_b64encode(challenge).rstrip(b"=").decode("ascii")
    return {"digest": digest, "challenge": text, "userVerification": "required"}


async def ask_to_sign(
    request: Request, here: Service, who: Principal, kind: str, body: Signing, **about: str
) -> Response:
    """Make the job in which the worker looks at a signature and writes it where the api cannot.

    Args:
        request: the request.
        here: the service.
        who: signs.
        kind: of the job.
        body: what was sent.
        about: what else the job names.

    Raises:
        Whatever `ask_worker` raises.
    """
    signed = body.model_dump(by_alias=True)
    asked = {**about, **signed, "origin": here.settings.origin, "session": who.session_id}
    return await ask_worker(request, here, who, Asked(kind=kind, organisation=who.organisation, request=asked))
