"""Routes of sign-in: parse, call, return. Rules are in the modules that they call.

1. What nobody is signed in for yet is open, and must come from a page of this service (`check_origin`).
2. What changes credentials needs an enrolling session, or a full one with a fresh second factor.
3. A cookie is `__Host-`, HttpOnly, Secure and SameSite=Strict, and ends with the browser.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import Depends, Request, Response

from casehaven.core.routing import GuardedRouter
from casehaven.core.web import Who
from casehaven.organisations.access import Operation
from casehaven.organisations.errors import NotFoundError, NotSignedInError, StepUpNeededError
from casehaven.organisations.members import member_by_id
from casehaven.organisations.roles import Kind
from casehaven.signin import bodies, codes, credentials, joining, passkeys, recovery, setup, sign_in, tokens
from casehaven.signin.errors import TokenRequestError
from casehaven.signin.guesses import DEVICE_SECONDS
from casehaven.signin.passwords import stored_password
from casehaven.signin.principal import DEVICE_COOKIE, SESSION_COOKIE, Visit, check_origin, current_visit, site_of
from casehaven.signin.sessions import end_session_named, find_session, page_value, sessions_of
from casehaven.signin.site import Site

router = GuardedRouter(tags=["sign-in"])

_OPEN: Final = ("cross-site", "too-many-guesses")
_VISIT: Final = ("cross-site", "not-signed-in")
_CHANGE: Final = (*_VISIT, "step-up-needed")

Here = Annotated[Site, Depends(site_of)]
OwnPage = Annotated[None, Depends(check_origin)]
AnyVisit = Annotated[Visit, Depends(current_visit)]


def _full_visit(visit: AnyVisit) -> Visit:
    """A session that is no enrolling one."""
    if visit.session.kind != "full":
        raise NotSignedInError
    return visit


def _changing_visit(visit: AnyVisit, site: Here) -> Visit:
    """A session that may change its member's credentials (rule 2)."""
    if visit.session.kind == "full" and not visit.session.stepped_up(site.clock()):
        raise StepUpNeededError
    return visit


FullVisit = Annotated[Visit, Depends(_full_visit)]
ChangingVisit = Annotated[Visit, Depends(_changing_visit)]


# --- getting in and out -------------------------------------------------------------------------------------------------------


@router.post("/v1/session", open_to_all=True, status_code=201, problems=(*_OPEN, "wrong-credentials", "sign-in-busy"))
def begin_session(
    body: bodies.SignIn, request: Request, response: Response, site: Here, _: OwnPage
) -> bodies.SessionShown:
    """Sign in with a password and a code."""
    found = sign_in.sign_in_with_password(
        site,
        handle=body.handle,
        password=body.password,
        code=body.code,
        address=_address(request),
        device=request.cookies.get(DEVICE_COOKIE),
    )
    return _signed_in(site, response, found)


@router.post("/v1/session/passkey-options", open_to_all=True, problems=("cross-site",))
def begin_passkey_session(site: Here, _: OwnPage) -> dict[str, Any]:
    """Ask for a challenge to sign in with a passkey."""
    return sign_in.passkey_options(site)


@router.post("/v1/session/passkey", open_to_all=True, status_code=201, problems=("cross-site", "wrong-credentials"))
def finish_passkey_session(
    body: bodies.PasskeyAnswer, response: Response, site: Here, _: OwnPage
) -> bodies.SessionShown:
    """Sign in with a passkey."""
    return _signed_in(site, response, sign_in.sign_in_with_passkey(site, body.credential))


@router.get("/v1/session", open_to_all=True, problems=_VISIT)
def show_session(visit: AnyVisit, site: Here) -> bodies.SessionShown:
    """Show the browser's own session, with the value that its requests need."""
    return _shown(site, visit)


@router.delete("/v1/session", open_to_all=True, status_code=204, problems=_VISIT)
def end_session(visit: AnyVisit, response: Response, site: Here, everywhere: bool = False) -> None:
    """Sign out, here or everywhere."""
    sign_in.sign_out(site, visit.session, visit.value, everywhere=everywhere)
    response.delete_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="strict")
    response.headers["Clear-Site-Data"] = '"cache", "storage"'  # not the cookies: a known browser stays known


@router.get("/v1/sessions", open_to_all=True, problems=_VISIT)
def list_sessions(visit: FullVisit, site: Here) -> list[bodies.OwnSession]:
    """List one's own sessions that are going on."""
    with site.reading() as connection:
        found = sessions_of(connection, site.clock(), visit.member.id)
    return [
        bodies.OwnSession(
            id=one.id,
            started_at=one.started_at,
            seen_at=one.seen_at,
            ends_at=one.ends_at,
            here=one.id == visit.session.id,
        )
        for one in found
    ]


@router.delete("/v1/sessions/{session_id}", open_to_all=True, status_code=204, problems=_CHANGE)
def end_other_session(session_id: str, visit: ChangingVisit, site: Here) -> None:
    """End one of one's own sessions."""
    with site.writing() as connection:
        if not end_session_named(connection, visit.member.id, session_id):
            raise NotFoundError


@router.post("/v1/session/step-up", open_to_all=True, problems=(*_VISIT, *_OPEN, "wrong-credentials"))
def step_up(body: bodies.AppCode, visit: FullVisit, response: Response, site: Here) -> bodies.SessionShown:
    """Give a second factor: a code of the app."""
    return _began(site, response, sign_in.step_up_with_code(site, visit.session, visit.value, body.code))


@router.post("/v1/session/step-up/passkey-options", open_to_all=True, problems=_VISIT)
def begin_passkey_step_up(visit: FullVisit, site: Here) -> dict[str, Any]:
    """Ask for a challenge to step up with a passkey."""
    return sign_in.step_up_options(site, visit.session)


@router.post("/v1/session/step-up/passkey", open_to_all=True, problems=(*_VISIT, "wrong-credentials"))
def finish_passkey_step_up(
    body: bodies.PasskeyAnswer, visit: FullVisit, response: Response, site: Here
) -> bodies.SessionShown:
    """Give a second factor: a passkey."""
    value = sign_in.step_up_with_passkey(site, visit.session, visit.value, body.credential)
    return _began(site, response, value)


# --- getting in for the first time --------------------------------------------------------------------------------------------

_ENROL: Final = (*_OPEN, "broken-code")


@router.post("/v1/setup", open_to_all=True, status_code=201, problems=(*_ENROL, "name-taken", "name-form"))
def set_up(body: bodies.SetUp, request: Request, response: Response, site: Here, _: OwnPage) -> bodies.SessionShown:
    """Make the first organisation with the code that the terminal showed."""
    value = setup.set_up(
        site,
        body.code,
        name=body.organisation,
        title=body.title,
        kind=Kind(body.kind),
        handle=body.handle,
        address=_address(request),
    )
    return _began(site, response, value)


@router.post("/v1/join", open_to_all=True, status_code=201, problems=_ENROL)
def join(body: bodies.Join, request: Request, response: Response, site: Here, _: OwnPage) -> bodies.SessionShown:
    """Begin to join with the code of an invitation."""
    return _began(site, response, joining.join(site, body.code, address=_address(request)))


@router.post("/v1/recover", open_to_all=True, status_code=201, problems=_ENROL)
def recover(body: bodies.Recover, request: Request, response: Response, site: Here, _: OwnPage) -> bodies.SessionShown:
    """Get back in with the halves of a code that two members gave."""
    halves = (body.first_half, body.second_half)
    return _began(site, response, recovery.recover(site, body.handle, halves, address=_address(request)))


@router.post("/v1/enrolment/finish", open_to_all=True, status_code=201, problems=(*_VISIT, "no-way-in"))
def finish_enrolment(visit: AnyVisit, response: Response, site: Here) -> bodies.SessionShown:
    """Exchange an enrolling session for a full one, once there is a way in."""
    if visit.session.kind != "enrolling":
        raise NotSignedInError
    return _began(site, response, joining.finish(site, visit.member, visit.value))


# --- credentials --------------------------------------------------------------------------------------------------------------


@router.get("/v1/credentials", open_to_all=True, problems=_VISIT)
def show_credentials(visit: AnyVisit, site: Here) -> bodies.CredentialsShown:
    """Show which credentials the member has."""
    with site.reading() as connection:
        return bodies.CredentialsShown(
            password=stored_password(connection, visit.member.id) is not None,
            app=codes.has_app(connection, visit.member.id),
            recovery_codes_left=codes.recovery_codes_left(connection, visit.member.id),
            passkeys=[_passkey(found) for found in passkeys.passkeys_of(connection, visit.member.id)],
            way_in=credentials.has_way_in(connection, visit.member.id),
        )


@router.put(
    "/v1/credentials/password", open_to_all=True, status_code=204, problems=(*_CHANGE, "weak-password", "sign-in-busy")
)
def set_password(body: bodies.NewPassword, visit: ChangingVisit, site: Here) -> None:
    """Set a new password."""
    credentials.set_new_password(site, visit.member, body.password, session_id=visit.session.id)


@router.post("/v1/credentials/app", open_to_all=True, problems=_CHANGE)
def begin_app(visit: ChangingVisit, site: Here) -> bodies.AppShown:
    """Make a secret for a new authenticator app."""
    uri = credentials.begin_app(site, visit.member)
    return bodies.AppShown(uri=uri, secret=codes.secret_of(uri))


@router.post("/v1/credentials/app/confirm", open_to_all=True, problems=(*_CHANGE, "broken-code"))
def confirm_app(body: bodies.AppCode, visit: ChangingVisit, site: Here) -> bodies.RecoveryCodes:
    """Take the new app into use, and get recovery codes."""
    made = credentials.confirm_app(site, visit.member, body.code, session_id=visit.session.id)
    return bodies.RecoveryCodes(codes=list(made))


@router.post("/v1/credentials/recovery-codes", open_to_all=True, problems=_CHANGE)
def new_recovery_codes(visit: ChangingVisit, site: Here) -> bodies.RecoveryCodes:
    """Get new recovery codes in the place of the old ones."""
    made = credentials.new_recovery_codes(site, visit.member, session_id=visit.session.id)
    return bodies.RecoveryCodes(codes=list(made))


@router.post("/v1/credentials/passkeys/options", open_to_all=True, problems=_CHANGE)
def begin_passkey(visit: ChangingVisit, site: Here) -> dict[str, Any]:
    """Ask for a challenge to make a passkey."""
    return credentials.begin_passkey(site, visit.member)


@router.post("/v1/credentials/passkeys", open_to_all=True, status_code=201, problems=(*_CHANGE, "broken-passkey"))
def add_passkey(body: bodies.NewPasskey, visit: ChangingVisit, site: Here) -> bodies.PasskeyShown:
    """Store the passkey that the browser made."""
    return _passkey(
        credentials.add_passkey(site, visit.member, body.credential, name=body.name, session_id=visit.session.id)
    )


@router.delete(
    "/v1/credentials/passkeys/{passkey_id}", open_to_all=True, status_code=204, problems=(*_CHANGE, "no-way-in")
)
def remove_passkey(passkey_id: str, visit: ChangingVisit, site: Here) -> None:
    """Remove a passkey."""
    credentials.remove_passkey(site, visit.member, passkey_id, session_id=visit.session.id)


# --- tokens -------------------------------------------------------------------------------------------------------------------


@router.get("/v1/principal", operation=Operation.PRINCIPAL_READ)
def show_principal(who: Who) -> bodies.PrincipalShown:
    """Show who asks, and what they may do."""
    return bodies.PrincipalShown(
        handle=who.handle,
        organisation=who.organisation,
        roles=[str(role) for role in who.roles],
        operations=sorted({right.operation.value for right in who.rights}),
        datasets=sorted(who.datasets),
        stepped_up=who.stepped_up,
    )


@router.get("/v1/tokens", operation=Operation.TOKEN_LIST)
def list_tokens(who: Who, site: Here) -> list[bodies.TokenShown]:
    """List one's own tokens; their values are not kept."""
    with site.reading() as connection:
        return [bodies.TokenShown(**_token(found)) for found in tokens.tokens_of(connection, who.member_id)]


@router.post(
    "/v1/tokens", operation=Operation.TOKEN_MAKE, status_code=201, problems=("step-up-needed", "token-request")
)
def make_token(body: bodies.NewToken, who: Who, site: Here) -> bodies.MadeToken:
    """Make a token; its value is shown now and never again."""
    try:
        operations = frozenset(Operation(name) for name in body.operations)
    except ValueError:
        raise TokenRequestError("a token names operations as `GET /v1/principal` lists them") from None
    with site.writing() as connection:
        made, value = tokens.make_token(
            connection, site.clock(), who, name=body.name, operations=operations, days=body.days
        )
    return bodies.MadeToken(**_token(made), value=value)


@router.delete("/v1/tokens/{token_id}", operation=Operation.TOKEN_REVOKE, status_code=204)
def revoke_token(token_id: str, who: Who, site: Here) -> None:
    """End a token at once."""
    with site.writing() as connection:
        tokens.revoke_token(connection, site.clock(), who, token_id)


def _address(request: Request) -> str:
    return "" if request.client is None else request.client.host


def _signed_in(site: Site, response: Response, found: sign_in.SignedIn) -> bodies.SessionShown:
    if found.device is not None:
        response.set_cookie(
            DEVICE_COOKIE, found.device, max_age=DEVICE_SECONDS, path="/", secure=True, httponly=True, samesite="strict"
        )
    return _began(site, response, found.session)


def _began(site: Site, response: Response, value: str) -> bodies.SessionShown:
    """Set the cookie of a session, and show it."""
    response.set_cookie(SESSION_COOKIE, value, path="/", secure=True, httponly=True, samesite="strict")
    with site.reading() as connection:
        found = find_session(connection, site.clock(), value)
        if found is None:
            raise NotSignedInError
        member = member_by_id(connection, found[0].member)
    return _shown(site, Visit(session=found[0], member=member, value=value))


def _shown(site: Site, visit: Visit) -> bodies.SessionShown:
    return bodies.SessionShown(
        handle=visit.member.handle,
        organisation=visit.member.organisation,
        roles=sorted(visit.member.roles),
        kind=visit.session.kind,
        stepped_up=visit.session.stepped_up(site.clock()),
        page_value=page_value(visit.value),
    )


def _passkey(found: passkeys.Passkey) -> bodies.PasskeyShown:
    return bodies.PasskeyShown(id=found.id, name=found.name, made_at=found.made_at, used_at=found.used_at)


def _token(found: tokens.Token) -> dict[str, Any]:
    return {
        "id": found.id,
        "name": found.name,
        "operations": sorted(found.operations),
        "made_at": found.made_at,
        "ends_at": found.ends_at,
        "used_day": found.used_day,
    }
