"""The process that parses files from outside can reach nothing else, and what it says is checked."""

from __future__ import annotations

import ast
import json
import os
import signal
import struct
import subprocess
import sys
import textwrap
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from casehaven.intake.errors import ChangedCaseFileError
from casehaven.intake.held import hold
from casehaven.intake.readers import Limits, open_source
from casehaven.intake.readers.errors import ReaderStoppedError, TooLargeError
from casehaven.intake.readers.process import Reader, reading
from casehaven.intake.sandbox import lockdown
from casehaven.intake.sandbox.frames import COUNTS, HEADER, FrameWriter
from casehaven.intake.sandbox.request import Request

SANDBOX = Path(lockdown.__file__).parent


def test_what_parses_imports_the_standard_library_and_itself_only() -> None:
    files = sorted(SANDBOX.glob("*.py"))
    assert len(files) > 15
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in names:
                ours = name.startswith("casehaven.intake.sandbox") or name == "casehaven.errors"
                late = path.name == "aes_zip.py" and name.startswith("cryptography.")
                late |= path.name == "parquet_rows.py" and name.partition(".")[0] == "pyarrow"
                assert ours or late or name.partition(".")[0] in sys.stdlib_module_names, (path.name, name)


def _inside(code: str) -> str:
    """Run code in a process that has bounded itself as the parsing process does; return what it prints."""
    script = f"""
        import os, resource, socket, subprocess, sys, tempfile
        from casehaven.intake.sandbox.lockdown import bound, close_doors
        bound({512 << 20}, 5)
        close_doors()
        try:
            {code}
        except (OSError, MemoryError) as error:
            print("refused", type(error).__name__)
        else:
            print("done")
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    return run.stdout


@pytest.mark.parametrize(
    "code",
    [
        'open("/etc/passwd")',
        'open("cases.txt", "w")',
        "socket.socket()",
        'socket.create_connection(("127.0.0.1", 9))',
        "os.pipe()",
        "os.fork()" if os.geteuid() else "os.dup(1)",
        'subprocess.run(["/bin/true"])',
        "tempfile.TemporaryFile()",
        "bytearray(600 << 20)",
        'os.open("/", os.O_RDONLY)',
    ],
)
def test_the_process_can_open_nothing_and_use_no_more_memory(code: str) -> None:
    assert _inside(code).startswith("refused ")


def test_the_same_process_could_do_so_before_it_closed_its_doors() -> None:
    run = subprocess.run(
        [sys.executable, "-c", "import os, socket; os.pipe(); socket.socket(); print('done')"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == "done\n"


def test_a_file_that_is_open_for_writing_cannot_grow(tmp_path: Path) -> None:
    script = f"""
        import signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        file = open({str(tmp_path / "x")!r}, "wb", buffering=0)
        from casehaven.intake.sandbox.lockdown import bound
        bound({512 << 20}, 5)
        file.write(b"x")
    """
    run = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert "OSError" in run.stderr
    assert (tmp_path / "x").stat().st_size == 0


def _large(path: Path) -> Path:
    path.write_text("a,b\n" + "1,2\n" * 300_000, encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", ["csv", "zip", "parquet"])
def test_how_much_of_a_file_is_read_is_known_while_it_is_read(tmp_path: Path, kind: str) -> None:
    path, rows = tmp_path / f"a.{kind}", [f"{number},{number * 7919 % 100_003}" for number in range(120_000)]
    text = "a,b\n" + "\n".join(rows) + "\n"
    if kind == "csv":
        path.write_text(text, encoding="utf-8")
    elif kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("a.csv", text)
    else:
        columns = {"a": [row.split(",")[0] for row in rows], "b": [row.split(",")[1] for row in rows]}
        pq.write_table(pa.table(columns), path, row_group_size=20_000)
    shares: list[float | None] = []
    hold(open_source(path), check=shares.append)
    known = [share for share in shares if share is not None]
    assert len(known) == len(shares) > 4
    assert known == sorted(known) and 0 < known[0] < 0.9 < known[-1] <= 1


def test_the_password_is_in_no_argument_and_no_environment(tmp_path: Path) -> None:
    before = psutil.Process().children()  # servers of other tests of this process
    with reading(_large(tmp_path / "a.csv"), Request(do="read", columns=("a",), password="secret-canary")) as reader:
        reader.description()
        (child,) = set(psutil.Process().children()) - set(before)
        assert "secret-canary" not in " ".join(child.cmdline())
        assert child.environ() == {}
        assert str(tmp_path) not in " ".join(child.cmdline())


def test_the_process_ends_when_its_reader_stops_listening(tmp_path: Path) -> None:
    source = open_source(_large(tmp_path / "a.csv"))
    before = psutil.Process().children()
    batches = source.batches(["a"])
    next(batches)
    (child,) = set(psutil.Process().children()) - set(before)
    batches.close()  # type: ignore[attr-defined]  # a generator
    assert not child.is_running()


def test_the_process_ends_soon_after_its_parent_was_killed(tmp_path: Path) -> None:
    script = f"""
        import sys, time
        from pathlib import Path
        import psutil
        from casehaven.intake.readers import open_source
        source = open_source(Path({str(_large(tmp_path / "a.csv"))!r}))
        batches = source.batches(["a"])
        next(batches)
        print(psutil.Process().children()[0].pid, flush=True)
        time.sleep(300)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        gone, alive = psutil.wait_procs([child], timeout=90)
    assert not alive
    assert gone


def test_a_busy_process_notices_that_its_parent_is_gone() -> None:
    child = "import time; from casehaven.intake.sandbox.lockdown import end_with_parent; end_with_parent(); print('ready', flush=True); time.sleep(300)"
    script = f"""
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", {child!r}], stdout=subprocess.PIPE)
        child.stdout.readline()
        print(child.pid, flush=True)
        time.sleep(300)
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        process = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
        parent.wait()
        _, alive = psutil.wait_procs([process], timeout=90)
    assert not alive


def test_a_process_that_thinks_too_long_is_ended(tmp_path: Path) -> None:
    limits = Limits(cpu_seconds_least=1, cpu_seconds_per_mebibyte=0)
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + "'1,2\n" * 1_900_000, encoding="utf-8")
    source = open_source(path)
    started = time.process_time()
    with pytest.raises(ReaderStoppedError, match="split it into smaller files"):
        for _ in open_source(path, limits=limits).batches(["a", "b"]):
            pass
    assert time.process_time() - started < 30
    assert source.columns


def test_a_process_that_needs_too_much_memory_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([{"a": "x" * 90_000} for _ in range(400)]), encoding="utf-8")
    assert open_source(path).columns
    with pytest.raises((TooLargeError, ReaderStoppedError)):
        open_source(path, limits=Limits(memory_bytes=24 << 20))


def test_a_file_that_changes_between_two_readings_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    source = open_source(path)
    path.write_text("b,a\n1,2\n", encoding="utf-8")
    with pytest.raises(ChangedCaseFileError, match="changed while"):
        next(source.batches(["a"]))


# --- what it says -----------------------------------------------------------------------------------------------------------


@contextmanager
def _reader(said: bytes) -> Iterator[Reader]:
    """Give a reader of what somebody else says."""
    read_end, write_end = os.pipe()
    os.write(write_end, said)
    os.close(write_end)
    with subprocess.Popen([sys.executable, "-c", ""]) as process, os.fdopen(read_end, "rb", buffering=0) as pipe:
        yield Reader(Path("a.csv"), process, pipe, Limits())


def _frame(kind: bytes, data: bytes) -> bytes:
    return HEADER.pack(kind, len(data)) + data


def _batch(offsets: list[int], data: bytes, rows: int = 1) -> bytes:
    return COUNTS.pack(rows, 1) + struct.pack("=q", 2) * rows + struct.pack(f"={len(offsets)}i", *offsets) + data


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"B",
        HEADER.pack(b"B", 1 << 60),
        _frame(b"Q", b""),
        _frame(b"B", COUNTS.pack(1_000_000, 1)),
        _frame(b"B", COUNTS.pack(1, 7)),
        _frame(b"B", _batch([0, 9], b"short")),
        _frame(b"B", _batch([0, -1], b"")),
        _frame(b"B", _batch([3, 1], b"abc")),
        _frame(b"B", _batch([0, 2], b"\xff\xfe")),
        _frame(b"B", _batch([0, 5, 3], b"abc", rows=2)),
    ],
    ids=["nothing", "cut", "huge", "unknown", "rows", "columns", "long", "negative", "start", "not-utf-8", "falling"],
)
def test_what_the_process_says_is_not_believed(said: bytes) -> None:
    end = _frame(b"Z", b"") if len(said) > 1 else b""  # so that a batch that is believed is no error
    with _reader(said + end) as reader, pytest.raises(ReaderStoppedError):
        list(reader.batches(["a"]))


def test_a_good_batch_is_believed() -> None:
    with _reader(_frame(b"B", _batch([0, 3], "ü1".encode())) + _frame(b"Z", b"")) as reader:
        (batch,) = reader.batches(["a"])
    assert (batch.rows.tolist(), batch.cells.to_pylist()) == ([2], [{"a": "ü1"}])


def test_silence_ends_the_wait() -> None:
    read_end, write_end = os.pipe()
    with subprocess.Popen([sys.executable, "-c", ""]) as process, os.fdopen(read_end, "rb", buffering=0) as pipe:
        with pytest.raises(ReaderStoppedError):
            Reader(Path("a.csv"), process, pipe, Limits(silence_seconds=1)).description()
        os.close(write_end)


def test_frames_say_what_was_written(tmp_path: Path) -> None:
    with (tmp_path / "frames").open("wb") as file:
        writer = FrameWriter(file.fileno())
        writer.batch([7, 9], [["", "é"], ["a;b", ""]])
        writer.end()
    with _reader((tmp_path / "frames").read_bytes()) as reader:
        (batch,) = reader.batches(["x", "y"])
    assert batch.cells.to_pylist() == [{"x": "", "y": "a;b"}, {"x": "é", "y": ""}]
    assert batch.rows.tolist() == [7, 9]
