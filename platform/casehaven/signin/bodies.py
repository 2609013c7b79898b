"""What the routes of sign-in take and give: JSON bodies with bounds on everything."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from casehaven.core.web import Body

Handle = Annotated[str, Field(min_length=1, max_length=64)]
Secret = Annotated[str, Field(min_length=1, max_length=256)]
Code = Annotated[str, Field(min_length=1, max_length=64)]
Title = Annotated[str, Field(min_length=1, max_length=120)]
Answer = Annotated[dict[str, Any], Field(description="what `navigator.credentials` returned, as JSON")]


class SignIn(Body):
    """Handle, password and code."""

    handle: Handle
    password: Secret
    code: Code = Field(description="six digits of the app, or a recovery code")


class PasskeyAnswer(Body):
    """A browser's answer to a challenge."""

    credential: Answer


class NewPasskey(Body):
    """A browser's answer to a registration, and what the owner calls the passkey."""

    credential: Answer
    name: Title


class NewPassword(Body):
    """A password to be."""

    password: Secret


class AppCode(Body):
    """A code of the app."""

    code: Code


class SetUp(Body):
    """The first organisation and its first member."""

    code: Code
    organisation: Handle
    title: Title
    kind: Annotated[str, Field(pattern="^(ngo|research|policy|deployment)$")]
    handle: Handle


class Join(Body):
    """The code of somebody who was invited."""

    code: Code


class Recover(Body):
    """Both halves of the code of a recovery."""

    handle: Handle
    first_half: Code
    second_half: Code


class NewToken(Body):
    """A token to be."""

    name: Annotated[str, Field(min_length=1, max_length=60)]
    operations: Annotated[list[str], Field(min_length=1, max_length=60)]
    days: Annotated[int, Field(ge=1, le=366)]


class SessionShown(Body):
    """A session, to its own browser."""

    handle: str
    organisation: str
    roles: list[str]
    kind: str
    """`full` or `enrolling`."""
    stepped_up: bool
    page_value: str
    """What `X-Casehaven-Page` must hold in requests that change something."""


class OwnSession(Body):
    """One of a member's sessions, to the member."""

    id: str
    started_at: int
    seen_at: int
    """Last use, to the minute."""
    ends_at: int
    here: bool
    """Whether it is the one that asks."""


class PasskeyShown(Body):
    """A passkey, to its owner."""

    id: str
    name: str
    made_at: int
    used_at: int | None


class CredentialsShown(Body):
    """Which credentials a member has; none of them."""

    password: bool
    app: bool
    recovery_codes_left: int
    passkeys: list[PasskeyShown]
    way_in: bool
    """Whether they suffice to sign in."""


class AppShown(Body):
    """A new app's secret, shown once."""

    uri: str
    secret: str


class RecoveryCodes(Body):
    """Recovery codes, shown once."""

    codes: list[str]


class TokenShown(Body):
    """A token, to its holder."""

    id: str
    name: str
    operations: list[str]
    made_at: int
    ends_at: int
    used_day: int | None


class MadeToken(TokenShown):
    """A token with its value, shown once."""

    value: str


class PrincipalShown(Body):
    """Who asks."""

    handle: str
    organisation: str
    roles: list[str]
    operations: list[str]
    datasets: list[str]
    stepped_up: bool
