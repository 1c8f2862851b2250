"""How requests of the Prometheus client travel: bounded in bytes and time, with a token that may change.

In: a prepared request. Out: its whole answer, or a `RequestException` or `OSError`. The client library
reads whatever a server sends for as long as it sends; here that ends. Knows nothing of queries.
"""

from pathlib import Path
from typing import Any

from requests import PreparedRequest, ReadTimeout, RequestException, Response
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError

from collector.clock import Clock

MAX_ANSWER_BYTES = 256 << 20
"""Of one query; an hour of bins of ten thousand services has about a tenth of it."""
_PIECE_BYTES = 1 << 16


class BoundedAdapter(HTTPAdapter):
    """Reads one answer within a time and a size. No retries: the next tick asks again."""

    def __init__(
        self, *, clock: Clock, timeout_seconds: float, max_bytes: int = MAX_ANSWER_BYTES
    ) -> None:
        super().__init__(max_retries=0)
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._max_bytes = max_bytes

    def send(self, request: PreparedRequest, *options: Any, **named: Any) -> Response:  # noqa: ANN401
        """The answer with all its content. Raises RequestException. Options: the library's own."""
        deadline = self._clock.monotonic_seconds() + self._timeout_seconds
        answer = super().send(request, *options, **{**named, "stream": True})
        answer._content = self._content(answer, deadline=deadline)
        return answer

    def _content(self, answer: Response, *, deadline: float) -> bytes:
        content = bytearray()
        try:
            while piece := answer.raw.read1(_PIECE_BYTES, decode_content=True):
                content += piece
                self._check(len(content), deadline=deadline)
        except HTTPError as error:
            answer.close()
            raise RequestException(f"the answer broke off: {error}") from error
        except RequestException:
            answer.close()
            raise
        answer.raw.release_conn()
        return bytes(content)

    def _check(self, size_bytes: int, *, deadline: float) -> None:
        if size_bytes > self._max_bytes:
            raise RequestException(f"more than {self._max_bytes} bytes were sent")
        if self._clock.monotonic_seconds() > deadline:
            raise ReadTimeout(f"the answer was not whole within {self._timeout_seconds:g} s")


class BearerTokenFile(AuthBase):
    """Sends the token that is in the file now: whoever issues it may replace it while we run."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """The request with its Authorization. Raises OSError, which never tells the token."""
        request.headers["Authorization"] = f"Bearer {read_token(self._path)}"
        return request


def read_token(path: Path) -> str:
    """The one word in the file. Raises OSError when there is no such word."""
    words = path.read_text(encoding="utf-8", errors="replace").split()
    if len(words) != 1 or not (words[0].isascii() and words[0].isprintable()):
        raise OSError(f"{path} must hold one token and nothing else")
    return words[0]
