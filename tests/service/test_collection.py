"""The search for cycles is put off for a block, and comes back whatever happens."""

from __future__ import annotations

import gc

import pytest

from casehaven.core.collection import no_search


def test_the_search_comes_back_after_a_fault_too() -> None:
    assert gc.isenabled()
    with pytest.raises(KeyError), no_search():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()


def test_a_search_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with no_search():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
