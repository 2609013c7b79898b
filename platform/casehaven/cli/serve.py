"""`casehaven serve`: the service, as api and worker together or each by itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from casehaven.cli._approvers import approver_option, approvers_named
from casehaven.cli.keys import trust_option

if TYPE_CHECKING:
    from casehaven.core.service_store import ServiceStore
    from casehaven.serving.api_process import Listening
    from casehaven.serving.folder import ServiceFolder
    from casesynth.signing import TrustStore

DEFAULT_FOLDER = Path("casehaven-service")
CODE_FILE = "set-up-code.txt"


@click.command("serve")
@click.argument("part", type=click.Choice(["all", "api", "worker"]), default="all")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="CASEHAVEN_SERVICE",
    default=DEFAULT_FOLDER,
    show_default=True,
    show_envvar=True,
    help="The service's folder; made when it is new.",
)
@click.option(
    "--store",
    envvar="CASEHAVEN_STORE",
    show_envvar=True,
    metavar="URL",
    help="Keep the service store on Postgres: postgresql://user@host/name.  [default: a file in the folder]",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8470, show_default=True, help="Port to listen on.")
@click.option(
    "--status-port",
    type=click.IntRange(1, 65535),
    help="Port of health and metrics, on loopback.  [default: --port + 1]",
)
@click.option("--origin", help="What people type to reach the service.  [default: http://localhost:PORT]")
@click.option("--certificate", type=click.Path(path_type=Path, dir_okay=False), help="Certificate for HTTPS, PEM.")
@click.option("--private-key", type=click.Path(path_type=Path, dir_okay=False), help="Its private key, PEM.")
@click.option("--behind-proxy", metavar="ADDRESS", help="A proxy at this address speaks HTTPS for the service.")
@click.option(
    "--registry",
    type=click.Choice(["public", "members"]),
    default="public",
    show_default=True,
    help="Who reads the registry of published releases: everybody, or whoever is signed in.",
)
@click.option("--vault", type=click.Path(path_type=Path, file_okay=False), help="The vault.  [default: FOLDER/vault]")
@click.option("--root-key", "root", metavar="WHERE", help="Where the root key is.  [default: file:FOLDER/root.key]")
@click.option(
    "--ledger", metavar="PLACE", help="The ledger: a file or postgresql://...  [default: FOLDER/ledger.sqlite]"
)
@click.option(
    "--signing-key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The key that signs.  [default: FOLDER/signing.pem]",
)
@click.option(
    "--supervised", is_flag=True, help="Of a worker: end when standard input ends; `casehaven serve` sets it."
)
@click.option(
    "--operator-code",
    is_flag=True,
    help="Make a code with which the deployment's operator sets up; while there is none.",
)
@click.option(
    "--epsilon", default="2.5", show_default=True, help="At the first start: the budget of every account, for good."
)
@approver_option
@trust_option
def command(
    part: str,
    folder: Path,
    store: str | None,
    host: str,
    port: int,
    status_port: int | None,
    origin: str | None,
    certificate: Path | None,
    private_key: Path | None,
    behind_proxy: str | None,
    registry: str,
    vault: Path | None,
    root: str | None,
    ledger: str | None,
    signing_key: Path | None,
    supervised: bool,
    operator_code: bool,
    epsilon: str,
    approver_names: tuple[str, ...],
    trust_path: Path,
) -> None:
    """Start the service: `all` (api and worker, the default), `api` or `worker`.

    It listens on this computer alone, unless it has a certificate or a proxy. The first start makes everything in the folder, and says how to set up.

    With --approver at the first start, two of the people who are named may together raise a cap later. Without, no cap of the ledger that it makes is ever raised.
    """
    if approver_names and part != "all":
        raise click.UsageError("--approver names people in a ledger that is made: `casehaven ledger create --approver`")
    from casehaven.core.db import is_postgres
    from casehaven.serving.folder import ServiceFolder

    place = ServiceFolder.at(
        folder,
        database=store,
        vault=vault,
        root=root,
        ledger=ledger if ledger is None or is_postgres(ledger) else Path(ledger),
        signing_key=signing_key,
    )
    if part == "worker":
        from casehaven.serving.worker_process import serve_worker

        serve_worker(place, supervised=supervised)
        return
    from casehaven.serving.api_process import Listening

    listening = Listening(
        host=host,
        port=port,
        status_port=port + 1 if status_port is None else status_port,
        origin=f"http://localhost:{port}" if origin is None else origin,
        certificate=certificate,
        private_key=private_key,
        proxy=behind_proxy,
        assertions=part == "api",
        registry_public=registry == "public",
    )
    if part == "api":
        _serve(place, listening, place.make_store(), worker=False, operator=operator_code)
    else:
        made = _made(place, epsilon, approvers_named(approver_names, trust_path))
        _serve(place, listening, made, worker=True, operator=operator_code)


def _made(place: ServiceFolder, epsilon: str, people: TrustStore) -> ServiceStore:
    """Make what a first start makes, and say who may approve raises."""
    made_now = place.is_new
    store = place.make(epsilon=epsilon, approvers=people)
    if made_now:
        names = ", ".join(signer.name for signer in place.approvers().signers)  # a ledger that was there has its own
        click.echo(
            f"raises     approved by two of {names}"
            if names
            else "raises     none: the ledger names nobody (--approver)"
        )
    return store


def _serve(place: ServiceFolder, listening: Listening, store: ServiceStore, *, worker: bool, operator: bool) -> None:
    from casehaven.serving.api_process import serve_api, service_of
    from casehaven.serving.both import WorkerChild
    from casehaven.signin.setup import operator_code, setup_code

    child = WorkerChild(worker_arguments(place)) if worker else None
    service, site = service_of(store, listening, wake=_nothing if child is None else child.wake)
    code = setup_code(site)
    if code is None and operator:
        code = operator_code(site)
    click.echo(f"service    {listening.origin}")
    _tell(code, store.folder / CODE_FILE, listening.origin)
    if child is not None:
        child.start()
    try:
        serve_api(service, site, listening)
    finally:
        if child is not None:
            child.stop()


def _nothing() -> None:
    """Whoever wakes nobody."""


def _tell(code: str | None, path: Path, origin: str) -> None:
    """Say how to set up: on the terminal, and where there is none, in a file that only its owner reads; never in a log."""
    from casesynth._files import write_whole

    path.unlink(missing_ok=True)
    if code is None:
        return
    if sys.stdout.isatty():
        click.echo(f"set up     open {origin}/set-up and type this code: {code}")
        return
    write_whole(path, f"{code}\n".encode(), mode=0o600, replace=True)
    click.echo(f"set up     open {origin}/set-up and type the code in {path.name}, in the service's folder")


def worker_arguments(place: ServiceFolder) -> list[str]:
    """Return the words of `casehaven serve worker` for a service."""
    made = ["--folder", str(place.path), "--vault", str(place.vault), "--root-key", place.root]
    made += ["--ledger", str(place.ledger), "--signing-key", str(place.signing_key)]
    return made if place.database is None else [*made, "--store", place.database]
