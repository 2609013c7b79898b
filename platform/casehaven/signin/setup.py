"""The first run: whoever starts the service makes its first organisation, and becomes its first member.

1. As long as no member is active, starting the service makes a code for setting up, and prints it on the terminal. It ends after an hour and with the next one.
2. The code founds one organisation with its first member. What an earlier set-up left unfinished is cleared away then. Once a member is active, there is no code any more, and
   an old one is worth nothing.
3. The deployment is an organisation of its own, with an operator who sees no case data. While it has no active operator, whoever may start the service may also make a code
   that founds it.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from casehaven.organisations import members
from casehaven.organisations.models import dataset_grant, member, member_role, organisation
from casehaven.organisations.roles import Kind, Role
from casehaven.signin.credentials import destroy_credentials
from casehaven.signin.errors import BrokenCodeError
from casehaven.signin.guesses import admit, counted, forgive
from casehaven.signin.models import one_time_code
from casehaven.signin.one_time_codes import end_codes, new_code, take_code
from casehaven.signin.sessions import start_session
from casehaven.signin.site import Site


def setup_code(site: Site) -> str | None:
    """Return a new code for setting up; None once somebody can sign in (rule 1)."""
    with site.writing() as connection:
        return None if _anybody(connection) else new_code(connection, site.clock(), "set-up")


def operator_code(site: Site) -> str | None:
    """Return a new code for founding the deployment's organisation; None while it has an active operator (rule 3)."""
    with site.writing() as connection:
        return None if _operator(connection) else new_code(connection, site.clock(), "operator")


def is_open(site: Site) -> bool:
    """Tell whether there is anything to set up: nobody can sign in yet, or a code for an operator waits."""
    with site.reading() as connection:
        waits = select(one_time_code.c.digest).where(
            one_time_code.c.purpose == "operator", one_time_code.c.ends_at > site.clock()
        )
        return not _anybody(connection) or connection.execute(waits).first() is not None


def set_up(site: Site, code: str, *, name: str, title: str, kind: Kind, handle: str, address: str) -> str:
    """Found the first organisation, or the deployment, and return the value of an enrolling session for its first member.

    Args:
        site: where.
        code: of the first run; one for operators founds the deployment only.
        name: of the organisation.
        title: as people write it.
        kind: what it is here for.
        handle: of its first member.
        address: of the network, for the count of guesses.

    Raises:
        BrokenCodeError: the code is wrong, was used, or has expired.
        TooManyGuessesError: too many wrong ones came from this address.
        NameTakenError: the organisation or the handle is there; the code stays good.
        NameFormError: a name is not written as names are; the code stays good.
    """
    with site.writing() as connection:
        now = site.clock()
        what = counted(connection, now, site.key, account=None, address=address, device_value=None)
        admit(connection, now, what)
    with site.writing() as connection:
        now = site.clock()
        if not _take(connection, now, code, kind):
            raise BrokenCodeError
        if not _anybody(connection):
            _clear(connection, now, kind=None)
        elif kind is Kind.DEPLOYMENT:
            _clear(connection, now, kind=kind)
        founded = members.found(connection, now, name=name, title=title, kind=kind, first=handle)
        forgive(connection, what)
        return start_session(connection, now, founded.id, kind="enrolling")


def _take(connection: Connection, now: int, code: str, kind: Kind) -> bool:
    if not _anybody(connection) and take_code(connection, now, "set-up", code)[0]:
        return True
    return kind is Kind.DEPLOYMENT and not _operator(connection) and take_code(connection, now, "operator", code)[0]


def _anybody(connection: Connection) -> bool:
    return connection.execute(select(member.c.id).where(member.c.state == "active").limit(1)).first() is not None


def _operator(connection: Connection) -> bool:
    active = (
        select(member.c.id)
        .join(member_role)
        .where(member.c.state == "active", member_role.c.role == Role.OPERATOR.value)
    )
    return connection.execute(active.limit(1)).first() is not None


def _clear(connection: Connection, now: int, *, kind: Kind | None) -> None:
    """Clear away organisations that nobody ever signed in to: all, or those of a kind."""
    chosen = select(organisation.c.name)
    if kind is not None:
        chosen = chosen.where(organisation.c.kind == kind.value)
    for name in connection.scalars(chosen).all():
        if any(found.active for found in members.members_of(connection, name)):
            continue
        for member_id in connection.scalars(select(member.c.id).where(member.c.organisation == name)).all():
            destroy_credentials(connection, now, member_id)
            end_codes(connection, member_id)
            for table in (member_role, dataset_grant):
                connection.execute(delete(table).where(table.c.member == member_id))
            connection.execute(delete(member).where(member.c.id == member_id))
        connection.execute(delete(organisation).where(organisation.c.name == name))
