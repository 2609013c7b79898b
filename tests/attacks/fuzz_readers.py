"""Coverage-guided fuzzing of what parses files from outside, with atheris; started by `test_hostile_files_fuzz.py`.

    python fuzz_readers.py PLATFORM_FOLDER SEED_FOLDER -max_total_time=60

Any exception that is no answer ends it with a trace and a file that holds the bytes.
"""

from __future__ import annotations

import io
import os
import sys
import types

import atheris  # type: ignore[import-untyped]  # in an environment of its own

ROOT = sys.argv.pop(1)
for name, folder in (("casehaven", ROOT + "/casehaven"), ("casehaven.intake", ROOT + "/casehaven/intake")):
    package = types.ModuleType(name)  # the real ones import what the parsing process must not have
    package.__path__ = [folder]
    sys.modules[name] = package

with atheris.instrument_imports(include=["casehaven.intake.sandbox"]):
    from casehaven.intake.sandbox.child import answer
    from casehaven.intake.sandbox.contents import Contents
    from casehaven.intake.sandbox.frames import HEADER, FrameWriter
    from casehaven.intake.sandbox.limits import Limits
    from casehaven.intake.sandbox.request import Request

LIMITS = Limits(rows=2_000, columns=100, cell_length=2_000, decompressed_bytes=1 << 20, ratio_from=1 << 16, entries=50)


def one(data: bytes) -> None:
    """Have some bytes described and read."""
    frames = os.memfd_create("frames")
    try:
        writer = FrameWriter(frames)
        for request in (Request(do="describe", limits=LIMITS), Request(do="form", limits=LIMITS)):
            answer(lambda request=request: Contents(io.BytesIO(data), request), request, writer)  # type: ignore[misc]  # a default binds it
        os.lseek(frames, 0, os.SEEK_SET)
        kind, _ = HEADER.unpack(os.read(frames, HEADER.size))
        if kind not in (b"H", b"F"):
            raise AssertionError("no answer")
    finally:
        os.close(frames)


atheris.Setup([sys.argv[0], *sys.argv[1:]], one)
atheris.Fuzz()
