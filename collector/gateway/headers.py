"""Which header fields cross the gateway. Pure.

Source: RFC 9110, 7.6.1 (Connection and what it names), RFC 9112, 9.
"""

from collections.abc import Iterable

from multidict import CIMultiDict, CIMultiDictProxy

TENANT_HEADER = "X-Foresail-Tenant"
"""Whose key it was, for the engine's logs; a client cannot set it."""

_HOP_BY_HOP = frozenset(
    {
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection",
        "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_OURS = frozenset({"host", "content-length", "content-encoding", "accept-encoding", "expect"})

Headers = CIMultiDict[str] | CIMultiDictProxy[str]


def request_headers(received: Headers, *, tenant: str | None) -> CIMultiDict[str]:
    """What the engine gets. With keys in use (`tenant` is set) the key itself stays here."""
    dropped = {*_OURS, TENANT_HEADER.lower()}
    if tenant is not None:
        dropped.add("authorization")
    sent = _end_to_end(received, dropped=dropped)
    sent["Accept-Encoding"] = "identity"  # compressed streams cannot be measured
    if tenant is not None:
        sent[TENANT_HEADER] = tenant
    return sent


def response_headers(received: Headers, *, is_stream: bool) -> CIMultiDict[str]:
    """What the client gets; a stream may come out shorter than it came in."""
    return _end_to_end(received, dropped={"content-length"} if is_stream else set())


def host_name(host: str) -> str:
    """The name in a Host header, lower case, without port; an IPv6 address keeps its brackets."""
    name, _, port = host.strip().lower().rpartition(":")
    return name if name and port.isdigit() and not port.endswith("]") else host.strip().lower()


def _end_to_end(received: Headers, *, dropped: Iterable[str]) -> CIMultiDict[str]:
    gone = _HOP_BY_HOP.union(dropped, _named_by_connection(received))
    return CIMultiDict(
        (name, value) for name, value in received.items() if name.lower() not in gone
    )


def _named_by_connection(received: Headers) -> set[str]:
    values = received.getall("Connection", ())
    return {token.strip().lower() for value in values for token in value.split(",")}
