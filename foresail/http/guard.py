"""What stands before every route: a list of allowed Host names, and headers that keep a page closed.

In: ASGI requests. Out: the same, or 400. The Host list keeps a web page on another site from
reading this app through a name that it points at this machine (DNS rebinding). Must not depend on
what a route does: a route added later is covered.
"""

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
MAX_SHOWN_CHARACTERS = 80


class Guard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, allowed_hosts: Collection[str]) -> None:
        self._app = app
        self._allowed = frozenset(host_name(each) for each in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Lets a request through, or answers 400 with what to change."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_closed(message: Message) -> None:
            if message["type"] == "http.response.start":
                _close(MutableHeaders(scope=message))
            await send(message)

        hosts = Headers(scope=scope).getlist("host")
        if len(hosts) == 1 and host_name(hosts[0]) in self._allowed:
            await self._app(scope, receive, send_closed)
        else:
            await _refusal(hosts)(scope, receive, send_closed)


def host_name(host: str) -> str:
    """The name of a Host header without its port, in lower case: `[::1]:9090` gives `[::1]`."""
    text = host.strip().lower()
    if text.startswith("["):
        return text.partition("]")[0] + "]"
    return text.partition(":")[0].removesuffix(".")


def _close(headers: MutableHeaders) -> None:
    for name, value in SECURITY_HEADERS.items():
        headers[name] = value
    headers.setdefault("cache-control", "no-store")


def _refusal(hosts: list[str]) -> JSONResponse:
    if len(hosts) != 1:
        told = f"the request has {len(hosts)} Host headers, it must have one"
    else:
        told = (
            f"Host {hosts[0][:MAX_SHOWN_CHARACTERS]!r} is not allowed; use the address this was "
            "started with, or add the name to the allowed hosts in foresail.yaml"
        )
    return JSONResponse({"error": told}, status_code=400)
