"""Two never hold the same thing at once, also not where the first one's file goes while a second one waits for it."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from casehaven.ledger.one_holder import one_holder


def test_nobody_holds_what_somebody_holds_and_nothing_is_left_of_it(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    with one_holder(path, wait=False):
        assert path.stat().st_mode & 0o777 == 0o600
        with pytest.raises(BlockingIOError), one_holder(path, wait=False):
            pass
        assert path.exists()
    assert not path.exists()
    with pytest.raises(ZeroDivisionError), one_holder(path, wait=False):
        raise ZeroDivisionError
    assert not path.exists()


def test_who_waited_for_a_file_that_is_gone_holds_the_one_that_the_name_leads_to(tmp_path: Path) -> None:
    path, inside, done = tmp_path / "one.lock", threading.Event(), threading.Event()

    def second() -> None:
        with one_holder(path, wait=True):
            inside.set()
            done.wait(60)

    waiting = threading.Thread(target=second)
    with one_holder(path, wait=False):
        waiting.start()
        time.sleep(0.3)  # it has opened the file by now, and waits; if not, the test is easier to pass, never harder
        assert not inside.is_set()
    try:
        assert inside.wait(60)
        with pytest.raises(BlockingIOError), one_holder(path, wait=False):
            pass
    finally:
        done.set()
        waiting.join()
