"""A server that means harm: bundles that would write elsewhere, files that are not as they were signed, bodies without end, words that steer a terminal."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from casehaven.cli import main
from casehaven.cli._answer_screen import answer_lines, guarantee_lines, quote_lines
from casehaven.client import (
    Client,
    ClientError,
    ExistingDownloadError,
    NotThereError,
    Patience,
    UnexpectedAnswerError,
)
from casehaven.client.answers import read_answer
from casehaven.client.plain_text import json_text
from casehaven.client.questions import read_quote
from casesynth.manifest import UnknownSignerError
from casesynth.signing import SigningKey, TrustStore

TOKEN = "chv_" + "x" * 43
RELEASE = "a" * 32
STEER = "\x1b]0;title\x07\x1b[2J\x9b31m\u202egnp\u2066\u200b\r\n\x00"
KEY = SigningKey.create()
TRUST = TrustStore().add("office", KEY.public_key)


class Files(httpx.BaseTransport):
    """Serves the files of a release."""

    def __init__(self, files: Mapping[str, bytes | Callable[[], Iterator[bytes]]]) -> None:
        self.files = files
        self.asked: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.removeprefix(f"/v1/releases/{RELEASE}/files/")
        self.asked.append(name)
        found = self.files.get(name)
        if found is None:
            return httpx.Response(404, stream=httpx.ByteStream(b'{"status":404,"code":"not-found","title":"no"}'))
        if isinstance(found, bytes):
            return httpx.Response(200, stream=httpx.ByteStream(found))
        return httpx.Response(200, stream=Endless(found))


class Endless(httpx.SyncByteStream):
    def __init__(self, pieces: Callable[[], Iterator[bytes]]) -> None:
        self.pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self.pieces()


def entry(name: str, data: bytes, **other: Any) -> dict[str, Any]:
    return {"name": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest(), **other}


def signed(*entries: Mapping[str, Any], key: SigningKey = KEY) -> dict[str, bytes]:
    """Return the manifest and signature of a bundle, of whatever names."""
    manifest = json.dumps(
        {"facts": {"title": "t"}, "files": list(entries), "format": "casehaven-release/1"},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()
    return {"manifest.json": manifest, "manifest.sig": key.sign_manifest(manifest).to_bytes()}


def fetch(wire: Files, place: Path, trust: TrustStore | None = TRUST, **options: Any) -> Any:
    with Client(
        "https://cases.example.org", TOKEN, patience=Patience(attempts=2, sleep=lambda _: None), wire=wire
    ) as client:
        return client.releases.download(RELEASE, place, trust=trust, **options)


def everything(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# --- bundles ---


def test_a_bundle_is_there_whole_as_it_was_signed_and_can_be_checked_again(tmp_path: Path) -> None:
    files = {"a.csv": b"x\n1\n", "report.html": b"<p>"}
    wire = Files({**files, **signed(*(entry(name, data) for name, data in files.items()))})
    told: list[tuple[int, int]] = []
    found = fetch(wire, tmp_path / "release", fetched=lambda there, whole: told.append((there, whole)))
    assert (found.signer, found.fingerprint) == ("office", KEY.public_key.fingerprint)
    assert told == [(4, 7), (7, 7)]
    assert everything(tmp_path) == [
        "release",
        "release/a.csv",
        "release/manifest.json",
        "release/manifest.sig",
        "release/report.html",
    ]
    with Client("https://cases.example.org", TOKEN, wire=wire) as client:
        assert client.releases.verify(found.folder, TRUST).trusted
        with pytest.raises(ExistingDownloadError):
            client.releases.download(RELEASE, found.folder)
        with pytest.raises(ValueError, match="32 hexadecimal digits"):
            client.releases.download("../../v1/tokens", tmp_path / "other")


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/evil",
        "..",
        ".",
        "a/b",
        "a\\b",
        "c:evil",
        "evil\x00",
        "~evil",
        ".hidden",
        "",
        "a" * 200,
        "manifest.json",
        "MANIFEST.SIG",
    ],
)
def test_no_name_of_a_manifest_leaves_the_folder_whoever_signed_it(name: str, tmp_path: Path) -> None:
    wire = Files({name: b"evil", **signed(entry(name, b"evil"))})
    (tmp_path / "inner").mkdir()
    with pytest.raises(UnexpectedAnswerError):
        fetch(wire, tmp_path / "inner" / "release")
    assert everything(tmp_path) == ["inner"]
    assert set(wire.asked) == {"manifest.json", "manifest.sig"}


def endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 65_536


def bundle(**changed: Any) -> dict[str, Any]:
    data = b"x\n1\n"
    return {
        "a.csv": data,
        **signed(entry("a.csv", data)),
        **{name.replace("_", "."): value for name, value in changed.items()},
    }


@pytest.mark.parametrize(
    "files",
    [
        bundle(a_csv=b"x\n2\n"),
        bundle(a_csv=b"x\n1"),
        bundle(a_csv=b"x\n1\n2"),
        bundle(a_csv=endless),
        bundle(manifest_json=endless),
        bundle(manifest_sig=endless),
        bundle(manifest_json=b"{}"),
        bundle(manifest_sig=b"{}"),
        bundle(manifest_sig=signed()["manifest.sig"]),
        bundle(manifest_json=signed(entry("a.csv", b"x\n1\n"), entry("a.csv", b"x\n1\n"))["manifest.json"]),
        {**signed(entry("big.csv", b"", size=1 << 60))},
        {"a.csv": b"x", **signed(entry("a.csv", b"x"), entry("A.CSV", b"x"))},
    ],
    ids=range(12),
)
def test_what_is_not_as_it_was_signed_leaves_nothing_behind(files: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(UnexpectedAnswerError):
        fetch(Files(files), tmp_path / "release")
    assert everything(tmp_path) == []


def test_an_unknown_signer_is_refused_before_a_file_is_fetched_and_a_missing_file_leaves_nothing(
    tmp_path: Path,
) -> None:
    other = SigningKey.create()
    wire = Files({"a.csv": b"x", **signed(entry("a.csv", b"x"), key=other)})
    with pytest.raises(UnknownSignerError) as refused:
        fetch(wire, tmp_path / "release")
    assert refused.value.fingerprint == other.public_key.fingerprint
    assert "a.csv" not in wire.asked
    with pytest.raises(NotThereError):
        fetch(Files(signed(entry("a.csv", b"x"))), tmp_path / "release")
    assert everything(tmp_path) == []


def test_a_file_that_broke_off_is_fetched_anew(tmp_path: Path) -> None:
    data, tries = b"x" * 100_000, []

    def breaks() -> Iterator[bytes]:
        tries.append(1)
        yield data[:50_000]
        if len(tries) == 1:
            raise httpx.ReadError("cut")
        yield data[50_000:]

    found = fetch(Files({"a.csv": breaks, **signed(entry("a.csv", data))}), tmp_path / "release")
    assert (found.folder / "a.csv").read_bytes() == data
    assert len(tries) == 2


# --- words ---


def answer_of(text: str) -> dict[str, Any]:
    guarantee = {
        "unit": text,
        "nano_rho": 1,
        "epsilon": 0.1,
        "delta": 1e-6,
        "max_tokens_per_person": 2,
        "epsilon_per_person": 0.2,
        "mechanism": text,
        "not_protected": text,
    }
    row = {"cell": [[text, text]], "kind": "quantile", "level": 0.5, "estimate": text, "low": text, "high": text}
    count = {"cell": [[text, text]], "kind": "count", "estimate": 5, "low": 1, "high": 9.5}
    hidden = {"cell": [[text, text]], "kind": "count", "hidden": True}
    return {
        "format": "casehaven-answer/1",
        "question": {"by": [{"attribute": text}], "show": text, "where": {"all": []}},
        "snapshot": {"day": text},
        "guarantee": guarantee,
        "earlier_tables": 1,
        "within": 3.5,
        "hidden_below": {"count": 10, "standard_deviations": 2.5},
        "rows": [row, count, hidden],
    }


def quote_of(text: str) -> dict[str, Any]:
    numbers = dict.fromkeys(
        ("nano_rho", "max_tokens_per_person", "cells", "tables", "earlier_tables", "alone_nano_rho"), 3
    )
    floats = dict.fromkeys(("epsilon", "delta", "epsilon_per_person", "within"), 0.5)
    return {
        **numbers,
        **floats,
        "counted": text,
        "free": None,
        "asked_on": [text],
        "registered": [text],
        "some_registered": True,
        "allowances": [[text, 5], [text], 7, [3, 4]],
    }


def is_safe(text: str) -> bool:
    return not any(mark in text for mark in ("\x1b", "\x07", "\x9b", "\u202e", "\u2066", "\u200b", "\r", "\x00"))


def test_no_word_of_a_server_steers_the_terminal_or_the_notebook() -> None:
    answer, quote = read_answer(answer_of(STEER + "<script>")), read_quote(quote_of(STEER + "<script>"))
    lines = [*answer_lines(answer.document["rows"]), *guarantee_lines(answer.document), *quote_lines(quote)]
    assert len(lines) > 10
    for line in lines:
        assert is_safe(line), line
        assert "\n" not in line
    for page in (answer._repr_html_(), quote._repr_html_()):
        assert is_safe(page)
        assert "<script>" not in page
        assert "&lt;script&gt;" in page
    for document in (answer.document, quote.document):
        written = json_text(document)
        assert is_safe(written)
        assert json.loads(written) == document  # and says the same


_WRONG: tuple[Any, ...] = (None, [], "text", {}, 7, [7])


def test_an_answer_that_lacks_what_the_screen_shows_is_refused_and_no_fault_of_the_program() -> None:
    whole = answer_of("x")
    read_answer(whole)
    broken: list[dict[str, Any]] = [
        {**whole, name: value} for name in whole for value in _WRONG if value != whole[name]
    ]
    for name in whole["guarantee"]:
        broken.append({**whole, "guarantee": {**whole["guarantee"], name: [1]}})
    for number, row in enumerate(whole["rows"]):
        for name in row:
            rows = [*whole["rows"]]
            rows[number] = {**row, name: {"x": 1}}
            broken.append({**whole, "rows": rows})
    broken.append({**whole, "rows": [{**whole["rows"][1], "kind": "new"}]})
    broken.append({**whole, "rows": [{**whole["rows"][1], "cell": [["a"]]}]})
    refused = 0
    for document in broken:
        try:
            answer = read_answer(document)
        except UnexpectedAnswerError:
            refused += 1
        else:  # what is read is shown without a fault
            assert list(answer_lines(answer.document["rows"])) or not answer.rows
            assert list(guarantee_lines(answer.document))
            answer._repr_html_()
            answer.to_pandas()
    assert refused > 40
    for name in quote_of("x"):
        for value in _WRONG:
            document = {**quote_of("x"), name: value}
            try:
                assert list(quote_lines(read_quote(document)))
            except UnexpectedAnswerError:
                refused += 1


# --- on the wire ---


@pytest.fixture
def hostile() -> Iterator[Callable[[bytes], str]]:
    """A real socket that answers every connection with the same bytes."""
    stop, threads, listening = threading.Event(), list[threading.Thread](), list[socket.socket]()

    def serve(listener: socket.socket, said: bytes) -> None:
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                try:
                    connection.recv(65_536)
                    connection.sendall(said)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65_536):
                        pass
                except OSError:
                    pass

    def start(said: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listening.append(listener)
        threads.append(threading.Thread(target=serve, args=(listener, said)))
        threads[-1].start()
        return f"http://localhost:{listener.getsockname()[1]}"

    yield start
    stop.set()
    for listener in listening:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join(10)


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000 + b"\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 401 \x1b[2J\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=range(8),
)
def test_bytes_that_are_no_answer_end_in_two_lines_and_no_fault_of_the_program(
    said: bytes, hostile: Callable[[bytes], str]
) -> None:
    with (
        Client(hostile(said), TOKEN, patience=Patience(attempts=1)) as client,
        pytest.raises(ClientError) as refused,
    ):
        client.datasets.list()
    assert is_safe(str(refused.value))


def test_a_redirect_takes_the_token_nowhere(hostile: Callable[[bytes], str]) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.5)
    place = f"http://localhost:{listener.getsockname()[1]}/v1/datasets"
    first = hostile(f"HTTP/1.1 307 Temporary Redirect\r\nLocation: {place}\r\nContent-Length: 0\r\n\r\n".encode())
    with Client(first, TOKEN) as client, pytest.raises(UnexpectedAnswerError, match="led elsewhere"):
        client.datasets.list()
    with listener, pytest.raises(TimeoutError):
        listener.accept()


def test_words_of_a_problem_reach_the_terminal_without_what_steers_it(hostile: Callable[[bytes], str]) -> None:
    body = json.dumps(
        {"status": 404, "code": STEER, "title": STEER, "detail": f"{STEER}gone", "advice": STEER}
    ).encode()
    said = b"HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n\r\n" % len(body)
    environment = {"CASEHAVEN_TOKEN": TOKEN, "CASEHAVEN_SERVER": hostile(said + body)}
    ended = CliRunner().invoke(main, ["releases", "list"], env=environment)
    assert ended.exit_code == 1
    assert ended.stderr.count("\n") == 2
    assert "gone" in ended.stderr
    assert is_safe(ended.output)


def test_a_server_that_sends_without_end_is_left() -> None:
    class Flood(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, stream=Endless(endless))

    with (
        Client("https://cases.example.org", TOKEN, wire=Flood()) as client,
        pytest.raises(UnexpectedAnswerError, match="more than"),
    ):
        client.datasets.list()
