"""A form with a file, read in pieces: whatever the pieces are, the same fields and the same file; what does not come whole is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from casehaven.web.errors import FormError
from casehaven.web.multipart import FIELDS_BYTES, boundary_of, read_file_form

TYPE = "multipart/form-data; boundary=xYz"


def body(
    file: bytes, fields: Sequence[tuple[str, str]] = (("page", "v"), ("key", "k")), *, end: str = "--\r\n"
) -> bytes:
    made = b"".join(
        f'--xYz\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields
    )
    heading = 'Content-Disposition: form-data; name="file"; filename="Maria.csv"\r\nContent-Type: text/csv\r\n\r\n'
    return made + b"--xYz\r\n" + heading.encode() + file + b"\r\n--xYz" + end.encode()


def ended(work: Coroutine[Any, Any, Any]) -> Any:
    """Run what waits for nothing: no loop is needed, and none may be begun where a browser has one in this process."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits for something")


async def _pieces(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def read(pieces: Sequence[bytes], content_type: str = TYPE) -> tuple[dict[str, str], bytes]:
    async def whole() -> tuple[dict[str, str], bytes]:
        found = await read_file_form(_pieces(pieces), content_type)
        return found.fields, b"".join([piece async for piece in found.pieces])

    found: tuple[dict[str, str], bytes] = ended(whole())
    return found


@given(
    st.lists(
        st.sampled_from([b"a", b"\r", b"\n", b"\r\n", b"--", b"\r\n--xY", b"\r\n--", b"xYz", b"--xYz"]), max_size=40
    ),
    st.lists(st.integers(1, 9), min_size=1, max_size=12),
)
@settings(max_examples=60)
def test_the_file_is_the_same_however_it_comes_in_pieces(parts: list[bytes], sizes: list[int]) -> None:
    file = b"".join(parts)
    while b"\r\n--xYz" in file:
        file = file.replace(b"\r\n--xYz", b"")
    sent, at = body(file), 0
    pieces: list[bytes] = []
    while at < len(sent):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(sent[at : at + size])
        at += size
    assert read(pieces) == ({"page": "v", "key": "k"}, file)


def test_an_empty_file_and_a_large_one() -> None:
    assert read([body(b"")])[1] == b""
    large = bytes(range(256)) * 8_192
    assert read([body(large)])[1] == large


def test_what_is_held_is_a_piece_and_no_more() -> None:
    """A file of 64 MiB in pieces of 64 KiB: no piece that is passed on is larger than one piece and a delimiter."""
    piece = b"x" * 65_536

    async def sent() -> AsyncIterator[bytes]:
        head, _, tail = body(b"#").partition(b"#")
        yield head
        for _ in range(1_024):
            yield piece
        yield tail

    async def whole() -> tuple[int, int]:
        found = await read_file_form(sent(), TYPE)
        largest = total = 0
        async for each in found.pieces:
            largest, total = max(largest, len(each)), total + len(each)
        return largest, total

    largest, total = ended(whole())
    assert total == 1_024 * len(piece)
    assert largest <= 2 * len(piece)


@pytest.mark.parametrize("cut", [1, 2, 4, 9, 60])
def test_a_body_that_breaks_off_is_refused(cut: int) -> None:
    whole = body(b"abc" * 20, end="--")
    with pytest.raises(FormError):
        read([whole[:-cut]])


def test_a_part_after_the_file_is_refused() -> None:
    more = body(b"abc", end='\r\nContent-Disposition: form-data; name="page"\r\n\r\nv2\r\n--xYz--\r\n')
    with pytest.raises(FormError, match="last part"):
        read([more])


def test_too_much_before_the_file_is_refused() -> None:
    with pytest.raises(FormError, match=str(FIELDS_BYTES)):
        read([body(b"abc", (("page", "v" * (FIELDS_BYTES + 1)),))])


@pytest.mark.parametrize("name", ["a" * 900, "a"])
def test_fields_without_a_value_count_too(name: str) -> None:
    """Names are kept as well, and so is the place of each: neither comes without end."""
    taken = 0

    async def sent() -> AsyncIterator[bytes]:
        nonlocal taken
        for number in range(200_000):
            piece = f'--xYz\r\nContent-Disposition: form-data; name="{name}{number}"\r\n\r\n\r\n'.encode()
            taken += len(piece)
            yield piece

    async def whole() -> None:
        await read_file_form(sent(), TYPE)

    with pytest.raises(FormError, match=str(FIELDS_BYTES)):
        ended(whole())
    assert taken < 3 * FIELDS_BYTES


def test_a_form_without_a_file_is_refused() -> None:
    with pytest.raises(FormError, match="no file"):
        read([b'--xYz\r\nContent-Disposition: form-data; name="page"\r\n\r\nv\r\n--xYz--\r\n'])


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"nothing of the kind",
        b"--xYz\r\n\r\nno name\r\n--xYz--",
        b"--xYz\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--xYz--",
        b"--xYz\r\nContent-Disposition: form-data; name=a\r\n\r\n\xff\r\n--xYz--",
        b"--xYz\r\n" + b"x" * 5_000,
    ],
)
def test_what_is_no_form_is_refused(sent: bytes) -> None:
    with pytest.raises(FormError):
        read([sent])


@pytest.mark.parametrize(
    "content_type",
    ["", "application/x-www-form-urlencoded", "multipart/form-data", 'multipart/form-data; boundary="\u00e9"'],
)
def test_another_content_type_is_refused(content_type: str) -> None:
    with pytest.raises(FormError):
        boundary_of(content_type)


def test_the_name_of_the_file_is_not_kept() -> None:
    fields, file = read([body(b"abc")])
    assert "Maria" not in repr((fields, file))
