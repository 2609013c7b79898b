"""The token with which a program signs in: never shown, never written.

A file with a token is refused when others may read it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Final, NoReturn, Self

import httpx

from casehaven.client.errors import TokenError
from casesynth._files import FileTooLargeError, NotRegularFileError, open_regular

TOKEN_VARIABLE: Final = "CASEHAVEN_TOKEN"
TOKEN_FILE_VARIABLE: Final = "CASEHAVEN_TOKEN_FILE"

_FORM: Final = re.compile(r"chv_[A-Za-z0-9_-]{43}")
_FILE_MOST: Final = 4_096


class Token(httpx.Auth):
    """A token. It signs requests, and shows itself nowhere else.

    >>> Token("chv_" + "x" * 43)
    Token('chv_…')
    """

    def __init__(self, text: str) -> None:
        """Take a token.

        Raises:
            TokenError: it has another form.
        """
        if not _FORM.fullmatch(text):
            raise TokenError("a token is chv_ and 43 letters, digits, - or _; the one that was given is not")
        self.__text = text

    def __repr__(self) -> str:
        """Say that it is one, and not which."""
        return "Token('chv_…')"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: it would be written somewhere."""
        raise TypeError("a token is not pickled")

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a request."""
        request.headers["Authorization"] = f"Bearer {self.__text}"
        yield request

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a token from a file of one line that nobody else may read.

        Raises:
            TokenError: it cannot be read, others may read it, or it holds no token.
        """
        try:
            with open_regular(path, follow=True) as file:
                if os.name == "posix" and os.fstat(file.fileno()).st_mode & 0o077:
                    raise TokenError(
                        f"{path} may be read by others; `chmod 600` it, and make a new token if they could"
                    )
                data = file.read(_FILE_MOST + 1)
            return cls(data.decode("ascii").strip())
        except UnicodeDecodeError:
            raise TokenError(f"{path} holds no token") from None
        except (NotRegularFileError, FileTooLargeError, OSError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not a regular file"
            raise TokenError(f"{path} cannot be read: {why}") from None

    @classmethod
    def from_env(cls, environment: Mapping[str, str]) -> Self:
        """Take the token that the environment names.

        Raises:
            TokenError: there is none, or two ways to one.
        """
        text, file = environment.get(TOKEN_VARIABLE), environment.get(TOKEN_FILE_VARIABLE)
        if text and file:
            raise TokenError(f"{TOKEN_VARIABLE} and {TOKEN_FILE_VARIABLE} are both set; keep one")
        if file:
            return cls.from_file(Path(file))
        if text:
            return cls(text.strip())
        raise TokenError(f"no token: {TOKEN_FILE_VARIABLE} names no file, and {TOKEN_VARIABLE} is empty")
