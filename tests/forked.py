"""Scripts in processes of their own, forked from a helper that has imported the program: most of what a short process takes is imports.

1. Each is a process like any other, with memory, signals, limits and output of its own, and is really killed.
2. The helper opens nothing and starts no thread. There is one for each list of modules, as long as the tests run.
3. Arguments, folder and environment are those of the moment of the call, as where a process is started anew.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress

_HELPER = r"""
import importlib, json, os, selectors, sys, traceback

for name in sys.argv[1].split():
    importlib.import_module(name)

def becomes(code, arguments, folder, environment, ends):
    status = 1
    try:
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, end in zip((0, 1, 2), (nothing, *ends)):
            os.dup2(end, number)
        os.closerange(3, 256)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["-c", *arguments]
        exec(compile(code, "<script>", "exec"), {"__name__": "__main__"})
        status = 0
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

for line in sys.stdin:
    pipes = [os.pipe(), os.pipe()]
    child = os.fork()
    if child == 0:
        becomes(*json.loads(line), [write for _, write in pipes])
    said = {}
    with selectors.DefaultSelector() as selector:
        for read, write in pipes:
            os.close(write)
            said[read] = b""
            selector.register(read, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                piece = os.read(key.fd, 65536)
                said[key.fd] += piece
                if not piece:
                    selector.unregister(key.fd)
                    os.close(key.fd)
    _, ended = os.waitpid(child, 0)
    print(json.dumps([os.waitstatus_to_exitcode(ended), *(text.decode() for text in said.values())]), flush=True)
"""

_helpers: dict[str, subprocess.Popen[str]] = {}


def run_forked(script: str, *arguments: object, modules: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
    """Run a script, and return how it ended and what it said.

    Args:
        script: source text, as after `python -c`.
        arguments: its words.
        modules: names of what the helper has imported, separated by spaces.
        seconds: after which it is killed.

    Raises:
        subprocess.TimeoutExpired: it went on longer.
    """
    helper = _helpers.get(modules) or _started(modules)
    assert helper.stdin is not None
    assert helper.stdout is not None
    request = [script, [str(argument) for argument in arguments], os.getcwd(), dict(os.environ)]
    helper.stdin.write(json.dumps(request) + "\n")
    helper.stdin.flush()
    if not select.select([helper.stdout], [], [], seconds)[0]:
        _end(modules)
        raise subprocess.TimeoutExpired("a forked script", seconds)
    answer = helper.stdout.readline()
    assert answer, "the helper died"
    status, said, complained = json.loads(answer)
    return subprocess.CompletedProcess(["-c", *request[1]], status, said, complained)


def _started(modules: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _HELPER, modules]
    pipe = subprocess.PIPE
    _helpers[modules] = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, start_new_session=True)
    return _helpers[modules]


@atexit.register
def _end(*which: str) -> None:
    """End helpers, and whatever they forked; all of them unless some are named."""
    for modules in which or tuple(_helpers):
        helper = _helpers.pop(modules)
        with suppress(ProcessLookupError):
            os.killpg(helper.pid, signal.SIGKILL)
        helper.communicate()
