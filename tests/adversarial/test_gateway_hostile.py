"""Clients that send anything at all: every answer is bounded, in OpenAI's shape, and counted."""

import asyncio
import json
from pathlib import Path

import pytest

from support.gateways import GatewayUnderTest, replica_route, running_gateway, service_route
from support.upstream import running_upstream

MODEL = b'{"model":"tiny"'
LIMITS = {"max_body_bytes": 100_000, "max_header_bytes": 4096, "idle_timeout_seconds": 0.5}


async def _exchange(gateway: GatewayUnderTest, raw: bytes) -> bytes:
    """All bytes of the answer to `raw`, until the gateway hangs up or is silent."""
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(raw)
        await writer.drain()
        async with asyncio.timeout(8):
            return await reader.read()
    finally:
        writer.close()


def _post(body: bytes, *, path: str = "/v1/completions", headers: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


def _error(answer: bytes) -> tuple[int, dict[str, object]]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["error"]


BODIES = {
    "empty": b"",
    "not json": b"hello",
    "cut": MODEL,
    "not utf-8": b'{"model":"tiny","prompt":"\xff\xfe"}',
    "utf-16": '{"model":"tiny"}'.encode("utf-16"),
    "array": b"[]",
    "number": b"17",
    "null": b"null",
    "deep arrays": b"[" * 50_000,
    "deep objects": b'{"model":' * 10_000,
    "no model": b"{}",
    "model is null": b'{"model":null}',
    "model is a number": b'{"model":3}',
    "model is a list": b'{"model":["tiny"]}',
    "model is empty": b'{"model":""}',
    "stream is text": MODEL + b',"stream":"yes"}',
    "stream is a number": MODEL + b',"stream":1}',
    "huge integer": b'{"model":"tiny","n":' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=list(BODIES))
async def test_a_wrong_body_is_a_400_that_counts_for_no_service(
    tmp_path: Path, body: bytes
) -> None:
    async with running_gateway(tmp_path, **LIMITS) as gateway:
        await gateway.route(service_route())
        status, error = _error(await _exchange(gateway, _post(body)))
        assert status == 400
        assert set(error) == {"message", "type", "param", "code"}
        assert len(str(error["message"])) < 300
        assert await gateway.value("foresail_gateway_rejected_total", reason="bad_request") == 1
        assert await gateway.value("foresail_requests_arrived_total") == 0


ODD = {
    "nested content": {"messages": [[[["x"]]], {"content": {"content": [{"text": 4}]}}]},
    "messages is a number": {"messages": 4},
    "tokens mixed with text": {"prompt": [1, "two", None, {"x": 3}]},
    "stream options are a list": {"stream": True, "stream_options": []},
    "stream options are null": {"stream": True, "stream_options": None},
    "lone surrogate": {"prompt": "\ud800"},
    "tools are text": {"tools": "all of them"},
    "booleans as tokens": {"prompt": [True, False]},
}


@pytest.mark.parametrize("document", ODD.values(), ids=list(ODD))
async def test_odd_shapes_that_are_the_engines_business_are_passed_on(
    tmp_path: Path, document: dict[str, object]
) -> None:
    async with running_upstream() as engine, running_gateway(tmp_path, **LIMITS) as gateway:
        await gateway.route(service_route(replica_route(engine.url)))
        body = json.dumps({"model": "tiny", **document}).encode()
        answer = await _exchange(gateway, _post(body))
        assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 500"))
        assert len(engine.seen) == 1
        seen = engine.seen[0].document
        assert {key: value for key, value in seen.items() if key != "stream_options"} == {
            key: value
            for key, value in {"model": "tiny", **document}.items()
            if key != "stream_options"
        }


HEADS = {
    "long line": b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "long field": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 9000 + b"\r\n\r\n",
    "many fields": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X-Y: z\r\n" * 200 + b"\r\n",
    "large altogether": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    + b"".join(b"X-%d: " % number + b"a" * 900 + b"\r\n" for number in range(6))
    + b"\r\n",
    "not http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "two lengths": b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "length and chunks": b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "negative length": b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Length: -5\r\n\r\nhello",
    "bad field name": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nA b: c\r\n\r\n",
}


@pytest.mark.parametrize("raw", HEADS.values(), ids=list(HEADS))
async def test_a_wrong_head_is_refused_in_openais_shape(tmp_path: Path, raw: bytes) -> None:
    async with running_gateway(tmp_path, **LIMITS) as gateway:
        status, error = _error(await _exchange(gateway, raw))
        assert status in {400, 431}
        assert error["code"] in {"bad_request", "too_large"}
        assert (
            sum(
                [
                    await gateway.value("foresail_gateway_rejected_total", reason="bad_request"),
                    await gateway.value("foresail_gateway_rejected_total", reason="too_large"),
                ]
            )
            == 1
        )


CHUNKED = {
    "bad size": b"zz\r\nhello\r\n0\r\n\r\n",
    "negative size": b"-5\r\nhello\r\n0\r\n\r\n",
    "enormous size": b"f" * 40 + b"\r\nhello",
    "no line end": b"5\r\nhelloXX0\r\n\r\n",
}


@pytest.mark.parametrize("chunks", CHUNKED.values(), ids=list(CHUNKED))
async def test_broken_chunks_are_a_400(tmp_path: Path, chunks: bytes) -> None:
    head = (
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    async with running_gateway(tmp_path, **LIMITS, body_timeout_seconds=1) as gateway:
        await gateway.route(service_route())
        answer = await _exchange(gateway, head + chunks)
        assert answer == b"" or _error(answer)[0] in {400, 408}
        assert await gateway.value("foresail_requests_arrived_total") == 0


async def test_a_body_in_odd_chunks_is_put_together(tmp_path: Path) -> None:
    head = (
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    body = b'{"model":"tiny","prompt":"hello"}'
    chunks = b"".join(b"1;x=y\r\n%c\r\n" % byte for byte in body) + b"0\r\nTrailer: x\r\n\r\n"
    async with running_upstream() as engine, running_gateway(tmp_path, **LIMITS) as gateway:
        await gateway.route(service_route(replica_route(engine.url)))
        assert (await _exchange(gateway, head + chunks)).startswith(b"HTTP/1.1 200")
        assert engine.seen[0].body == body


@pytest.mark.parametrize("is_chunked", [True, False], ids=["chunked", "announced"])
async def test_a_body_above_the_limit_is_a_413(tmp_path: Path, is_chunked: bool) -> None:
    body = MODEL + b',"prompt":"' + b"a" * 200_000 + b'"}'
    raw = _post(body)
    if is_chunked:
        head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        raw = (
            head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
        )
    async with running_gateway(tmp_path, **LIMITS) as gateway:
        await gateway.route(service_route())
        status, error = _error(await _exchange(gateway, raw))
        assert (status, error["code"]) == (413, "too_large")
        assert await gateway.value("foresail_gateway_rejected_total", reason="too_large") == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"GET /heal",
        b"GET /healthz HTTP/1.1\r\nHost: local",
        _post(MODEL)[:-3],
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
    ],
    ids=["nothing", "half a line", "half a head", "half a body", "half a chunk"],
)
async def test_a_client_that_stops_sending_is_let_go(tmp_path: Path, raw: bytes) -> None:
    async with running_gateway(tmp_path, **LIMITS, body_timeout_seconds=0.5) as gateway:
        answer = await _exchange(gateway, raw)
        assert answer == b"" or _error(answer)[0] == 408


async def test_a_client_that_takes_nothing_is_let_go(tmp_path: Path) -> None:
    async with (
        running_upstream() as engine,
        running_gateway(tmp_path, write_timeout_seconds=0.3) as gateway,
    ):
        await gateway.route(service_route(replica_route(engine.url)))
        host, port = gateway.url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port), limit=1024)
        body = json.dumps({"model": "tiny", "prompt": "x", "stream": True}).encode()
        flood = 'X-Behave: {"tokens": 4000000, "tokens_per_chunk": 20}\r\n'
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's own has it
        writer.write(_post(body, headers=flood))
        try:
            await gateway.eventually("foresail_requests_finished_total", 1, reason="client_gone")
        finally:
            writer.close()


@pytest.mark.parametrize(
    "path",
    ["/v1/../slots", "/v1/..", "/v1/%2e%2e/slots", "/v1//slots", "/v1/a?x=1/../..", "/slots", "/v1",
     "/v1/./x", "http://other.example/v1/completions"],
)  # fmt: skip
async def test_no_path_leads_out_of_v1(tmp_path: Path, path: str) -> None:
    async with running_upstream() as engine, running_gateway(tmp_path) as gateway:
        await gateway.route(service_route(replica_route(engine.url)))
        await _exchange(gateway, _post(MODEL + b"}", path=path))
        assert all(seen.path.startswith("/v1/a?") for seen in engine.seen)


async def test_hop_by_hop_fields_stay_on_their_side(tmp_path: Path) -> None:
    headers = (
        "Connection: close, X-Secret-Hop\r\nX-Secret-Hop: 1\r\nTE: trailers\r\n"
        "Proxy-Authorization: x\r\nX-Mine: kept\r\nAccept-Encoding: gzip\r\n"
    )
    async with running_upstream() as engine, running_gateway(tmp_path) as gateway:
        await gateway.route(service_route(replica_route(engine.url)))
        await _exchange(gateway, _post(MODEL + b"}", headers=headers))
        seen = {name.lower() for name in engine.seen[0].headers}
        assert "x-mine" in seen
        assert not seen & {"x-secret-hop", "te", "proxy-authorization", "connection"}
        assert engine.seen[0].headers["Accept-Encoding"] == "identity"


async def test_an_expectation_is_met_before_the_body(tmp_path: Path) -> None:
    async with running_upstream() as engine, running_gateway(tmp_path) as gateway:
        await gateway.route(service_route(replica_route(engine.url)))
        raw = _post(MODEL + b"}", headers="Expect: 100-continue\r\n")
        answer = await _exchange(gateway, raw)
        assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")
