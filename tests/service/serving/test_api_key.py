"""The api's own key: made once and whole, and refused when it is no key or open to others."""

from __future__ import annotations

from pathlib import Path

import pytest

from casehaven.serving.errors import ApiKeyError
from casehaven.serving.folder import api_key


def test_it_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    first = api_key(tmp_path)
    assert len(first) == 32 and api_key(tmp_path) == first
    assert (tmp_path / "api.key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["api.key"]


@pytest.mark.parametrize("text", ["", "\n", "ab", "x" * 64, "0" * 62, "0" * 66])
def test_what_is_no_key_is_refused_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "api.key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ApiKeyError):
        api_key(tmp_path)
    assert path.read_text() == text


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_one_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    api_key(tmp_path)
    (tmp_path / "api.key").chmod(mode)
    with pytest.raises(ApiKeyError):
        api_key(tmp_path)


def test_a_link_and_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "api.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ApiKeyError):
        api_key(tmp_path)
    (tmp_path / "api.key").unlink()
    (tmp_path / "api.key").mkdir()
    with pytest.raises(ApiKeyError):
        api_key(tmp_path)
