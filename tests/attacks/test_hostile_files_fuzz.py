"""Coverage-guided fuzzing of the readers for a minute, in `make audit`: every input gets an answer, whatever its bytes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import xlsxwriter  # type: ignore[import-untyped]  # it ships no types

ATHERIS = "atheris==3.0.0"
SECONDS = 60
LEAST_INPUTS = 5_000
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def fuzzing_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an interpreter with atheris, in an environment of its own: it has no wheel for every Python that we run on."""
    folder = tmp_path_factory.mktemp("atheris")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    got = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", ATHERIS], capture_output=True, check=False
    )
    if got.returncode:
        pytest.skip(f"{ATHERIS} cannot be installed on Python {sys.version_info.major}.{sys.version_info.minor} here")
    return python


def _seeds(folder: Path) -> None:
    book = io.BytesIO()
    with xlsxwriter.Workbook(book, {"in_memory": True}) as workbook:
        workbook.add_worksheet("survey").write_row(0, 0, ["type", "name", "label"])
        workbook.add_worksheet("choices").write_row(0, 0, ["list_name", "name", "label"])
    plain = io.BytesIO()
    with xlsxwriter.Workbook(plain, {"in_memory": True}) as workbook:
        sheet = workbook.add_worksheet()
        for row in range(4):
            sheet.write_row(row, 0, ["_id", "_uuid", row, "a & b", True])
    stored = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(plain.getvalue())) as packed, zipfile.ZipFile(stored, "w") as out:
        for name in packed.namelist():  # not packed, so that changed bytes reach the parser
            out.writestr(name, packed.read(name))
    odk = io.BytesIO()
    with zipfile.ZipFile(odk, "w") as out:
        out.writestr("f.csv", "KEY,SubmissionDate,a-b\nuuid:1,2024-01-01,x y\n")
        out.writestr("f-r.csv", "c,PARENT_KEY,KEY\n1,uuid:1,uuid:1/r[1]\n")
    for name, data in {
        "book": book.getvalue(),
        "plain": plain.getvalue(),
        "stored": stored.getvalue(),
        "odk": odk.getvalue(),
        "csv": b'a,b\n"1","x;y"\n2,\xc3\xbc\n',
        "kobo": b"_id;_uuid;m;m/a;m/b\n1;u;a b;1;1\n",
        "primero": b'id,owned_by,case_id,short_id\nc,cp,"[""a""]",a ||| b\n',
        "utf16": "a\tb\n1\t2\n".encode("utf-16"),
        "json": json.dumps({"results": [{"_id": 1, "a": ["x", {"b": None}], "c": {"d": True}}]}).encode(),
    }.items():
        (folder / name).write_bytes(data)


@pytest.mark.audit
def test_a_minute_of_fuzzing_finds_no_input_without_an_answer(fuzzing_python: Path, tmp_path: Path) -> None:
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    _seeds(seeds)
    run = subprocess.run(
        [
            fuzzing_python,
            HERE / "fuzz_readers.py",
            HERE.parents[1] / "platform",
            seeds,
            f"-max_total_time={SECONDS}",
            "-max_len=20000",
            "-timeout=20",
            "-rss_limit_mb=1024",
            "-print_final_stats=1",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3_000:]
    (tried,) = [line.split()[-1] for line in run.stderr.splitlines() if "number_of_executed_units" in line]
    assert int(tried) >= LEAST_INPUTS
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(("crash-", "timeout-", "oom-"))]
