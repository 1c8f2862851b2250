"""A server in the place of Prometheus that answers every query with what it is told to, sound or hostile."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs


class FakePrometheus:
    """Answers on a free loopback port until it is closed."""

    def __init__(self) -> None:
        self.status, self.body = 200, b"{}"
        self.says_length: int | None = None  # in place of the true one
        self.drip_seconds: float | None = None  # between two bytes
        self.asked: list[dict[str, str]] = []
        self.tokens: list[str | None] = []
        self.hang = threading.Event()
        self.hang.set()
        self._closing = threading.Event()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                query = self.path.partition("?")[2] or raw
                fake.asked.append({key: value[0] for key, value in parse_qs(query).items()})
                fake.tokens.append(self.headers.get("Authorization"))
                fake.hang.wait(10)
                with contextlib.suppress(OSError):  # the client may be gone
                    fake._answer(self)

            def log_message(self, format: str, *values: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def answers(self, result: object, **more: object) -> None:
        """The next answers hold this result."""
        self.body = json.dumps({"status": "success", "data": {"result": result}, **more}).encode()

    def close(self) -> None:
        """Ends it, whatever it is doing."""
        self._closing.set()
        self.hang.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        length = len(self.body) if self.says_length is None else self.says_length
        handler.send_response(self.status)
        handler.send_header("Content-Length", str(length))
        handler.end_headers()
        if self.drip_seconds is None:
            handler.wfile.write(self.body)
            return
        for byte in self.body:
            handler.wfile.write(bytes([byte]))
            if self._closing.wait(self.drip_seconds):
                return


@contextlib.contextmanager
def fake_prometheus() -> Iterator[FakePrometheus]:
    """One inside the `with`."""
    fake = FakePrometheus()
    try:
        yield fake
    finally:
        fake.close()
