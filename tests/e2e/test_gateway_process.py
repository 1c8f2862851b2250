"""The gateway as a process: what it refuses to start with, keys, hosts, TLS, signals."""

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from collector.clock import SystemClock
from collector.errors import CollectorError, ConfigurationError, GatewayError
from collector.gateway.client import GatewayClient
from collector.gateway.keys import hash_key
from collector.gateway.process import open_gateway
from collector.gateway.settings import GatewaySettings
from support.gateways import replica_route, running_gateway, service_route, table, until
from support.upstream import Behaviour, running_upstream

CHAT = {"model": "tiny", "messages": []}
RUN = """
import asyncio, sys
from pathlib import Path
from collector.clock import SystemClock
from collector.gateway.process import run_gateway
from collector.gateway.settings import GatewaySettings
settings = GatewaySettings(state_dir=Path(sys.argv[1]), port=0)
asyncio.run(run_gateway(settings, clock=SystemClock(), ready=lambda url: print("READY", url, flush=True)))
"""


@pytest.fixture(name="certificate")
def _certificate(tmp_path: Path) -> tuple[Path, Path]:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
            ),
            *("-nodes", "-keyout", str(key), "-out", str(certificate), "-days", "1"),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def _keys_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text(f"# our tenants\n\nacme:{hash_key('secret-1')}\nzeta:{hash_key('secret-2')}\n")
    return path


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
@pytest.mark.parametrize("has_keys", [True, False])
def test_listening_beyond_loopback_needs_keys_and_tls(
    tmp_path: Path, host: str, has_keys: bool
) -> None:
    keys = tmp_path / "keys" if has_keys else None
    with pytest.raises(ConfigurationError, match="refusing to listen") as caught:
        GatewaySettings(state_dir=tmp_path, host=host, keys_file=keys)
    assert "\n" not in str(caught.value)


def test_listening_beyond_loopback_is_possible_in_the_open_or_protected(tmp_path: Path) -> None:
    GatewaySettings(state_dir=tmp_path, host="0.0.0.0", allow_insecure_listen=True)
    GatewaySettings(
        state_dir=tmp_path,
        host="0.0.0.0",
        keys_file=tmp_path / "keys",
        tls_certificate=tmp_path / "c",
        tls_key=tmp_path / "k",
    )
    for host in ("localhost", "127.0.0.1", "127.0.0.9", "::1", "[::1]"):
        GatewaySettings(state_dir=tmp_path, host=host)


async def _fails(error: type[CollectorError], match: str, settings: GatewaySettings) -> None:
    with pytest.raises(error, match=match) as caught:
        async with open_gateway(settings, clock=SystemClock()):
            raise AssertionError("started")
    assert "\n" not in str(caught.value)
    assert not (settings.state_dir / "gateway.sock").exists()


async def test_a_port_in_use_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        await _fails(
            ConfigurationError,
            f"port {port}.*in use",
            GatewaySettings(state_dir=tmp_path, port=port),
        )


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (None, "cannot be read"),
        ("", "has no key"),
        ("acme:short\n", "keys:1: expected"),
        ("# fine\nno colon", "keys:2: expected"),
    ],
    ids=["absent", "empty", "not a hash", "no tenant"],
)
async def test_an_unusable_keys_file_is_said_in_one_line(
    tmp_path: Path, content: str | None, match: str
) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_text(content)
    settings = GatewaySettings(state_dir=tmp_path / "s", port=0, keys_file=path)
    await _fails(ConfigurationError, match, settings)


async def test_an_unusable_certificate_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("nonsense")
    settings = GatewaySettings(
        state_dir=tmp_path / "s",
        port=0,
        tls_certificate=tmp_path / "bad",
        tls_key=tmp_path / "bad",
    )
    await _fails(ConfigurationError, "TLS with", settings)


async def test_a_second_gateway_of_the_same_state_directory_is_refused(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as gateway:
        with pytest.raises(GatewayError, match="another gateway is running"):
            async with open_gateway(
                GatewaySettings(state_dir=tmp_path, port=0), clock=SystemClock()
            ):
                raise AssertionError("started")
        assert await gateway.admin.read_status() is not None


async def test_the_socket_a_dead_gateway_left_is_replaced_and_private(tmp_path: Path) -> None:
    path = tmp_path / "gateway.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with running_gateway(tmp_path) as gateway:
        assert await gateway.admin.read_status() is not None
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


async def test_a_damaged_routes_file_is_ignored_until_the_next_table(tmp_path: Path) -> None:
    (tmp_path / "routes.json").write_text('{"epoch": 1')
    async with running_gateway(tmp_path) as gateway:
        await gateway.route(service_route())
    assert '"epoch":1' in (tmp_path / "routes.json").read_text()


async def test_keys_are_needed_and_stay_at_the_gateway(tmp_path: Path) -> None:
    async with (
        running_upstream() as engine,
        running_gateway(tmp_path, keys_file=_keys_file(tmp_path)) as gateway,
    ):
        await gateway.admin.write_routes(table(service_route(replica_route(engine.url))))
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic secret-1"}):
            async with gateway.post(CHAT, headers=headers) as answer:
                assert answer.status == 401
                assert (await answer.json())["error"]["type"] == "authentication_error"
            async with gateway.session.get(gateway.url + "/metrics", headers=headers) as answer:
                assert answer.status == 401
        key = {"Authorization": "Bearer secret-2", "X-Foresail-Tenant": "forged"}
        async with gateway.post(CHAT, headers=key) as answer:
            assert answer.status == 200
        assert engine.seen[0].headers["X-Foresail-Tenant"] == "zeta"
        assert "Authorization" not in engine.seen[0].headers
        async with gateway.session.get(gateway.url + "/metrics", headers=key) as answer:
            page = await answer.text()
        assert 'foresail_gateway_rejected_total{reason="unauthorised"} 6' in page
        async with gateway.session.get(gateway.url + "/healthz") as answer:
            assert answer.status == 200


async def test_neither_keys_nor_prompts_are_logged(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        running_upstream() as engine,
        running_gateway(tmp_path, keys_file=_keys_file(tmp_path)) as gateway,
    ):
        await gateway.admin.write_routes(table(service_route(replica_route(engine.url))))
        for key in ("secret-1", "wrong-key"):
            document = {"model": "tiny", "prompt": "my-private-words"}
            headers = {"Authorization": f"Bearer {key}"}
            async with gateway.post(document, path="/v1/completions", headers=headers):
                pass
    said = "".join(capfd.readouterr()) + caplog.text
    assert not [word for word in ("secret-1", "wrong-key", "my-private-words") if word in said]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LocalHost:1234", 200),
        ("127.0.0.1:80", 200),
        ("[::1]", 200),
        ("[::1]:8080", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example:80", 421),
        ("localhost.evil.example", 421),
        ("", 421),
    ],
)
async def test_only_allowed_host_names_are_served(tmp_path: Path, host: str, status: int) -> None:
    async with (
        running_gateway(tmp_path) as gateway,
        gateway.session.get(gateway.url + "/healthz", headers={"Host": host}) as answer,
    ):
        assert answer.status == status


async def test_streams_work_over_tls(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    context = ssl.create_default_context(cafile=certificate[0])
    settings = {"tls_certificate": certificate[0], "tls_key": certificate[1]}
    async with running_upstream() as engine, running_gateway(tmp_path, **settings) as gateway:
        await gateway.route(service_route(replica_route(engine.url)))
        assert gateway.url.startswith("https://")
        url = gateway.url + "/v1/chat/completions"
        async with gateway.session.post(url, json={**CHAT, "stream": True}, ssl=context) as answer:
            assert (await answer.read()).endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
async def test_a_signal_ends_the_process_after_the_stream_in_flight(
    tmp_path: Path, stop: signal.Signals
) -> None:
    async with running_upstream(Behaviour(tokens=5, delay_seconds=0.05)) as engine:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", RUN, str(tmp_path), stdout=asyncio.subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            url = ""
            async for line in process.stdout:
                if line.startswith(b"READY"):
                    url = line.split()[1].decode()
                    break
            await GatewayClient(tmp_path).write_routes(
                table(service_route(replica_route(engine.url)))
            )
            async with aiohttp.ClientSession() as session:
                answer = await session.post(
                    url + "/v1/chat/completions", json={**CHAT, "stream": True}
                )
                await until(lambda: engine.running == 1, what="the stream runs")
                os.kill(process.pid, stop)
                assert (await answer.read()).endswith(b"data: [DONE]\n\n")
            assert await asyncio.wait_for(process.wait(), 10) == 0
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert not (tmp_path / "gateway.sock").exists()


async def test_after_the_drain_deadline_what_still_runs_is_cut(tmp_path: Path) -> None:
    async with running_upstream(Behaviour(tokens=500, delay_seconds=0.1)) as engine:
        async with aiohttp.ClientSession() as session:
            async with running_gateway(tmp_path, drain_timeout_seconds=0.2) as gateway:
                await gateway.route(service_route(replica_route(engine.url)))
                url = gateway.url + "/v1/chat/completions"
                answer = await session.post(url, json={**CHAT, "stream": True})
            with pytest.raises(aiohttp.ClientError):
                await answer.read()
        await until(lambda: engine.disconnects == 1, what="the engine is told")
