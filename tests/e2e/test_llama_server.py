"""The engine process of the demo, against the real llama.cpp server in it."""

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoscaler.actuators.probe import measure_costs
from collector.clock import SystemClock
from foresail.demo.completion import Endpoint, Outcome, RequestResult
from foresail.demo.load import replay
from foresail.demo.trace import PlannedRequest
from support.builders import make_variant
from support.engines import (
    STOP_SECONDS,
    StartedServer,
    free_port,
    is_healthy,
    server_command,
    started_llama_server,
    tiny_model_path,
    wait_until,
)

pytest.importorskip("xllamacpp", reason="the demo's engine is an extra: pip install '.[demo]'")
pytest.importorskip("gguf", reason="the demo's model writer is an extra: pip install '.[demo]'")


@pytest.fixture(scope="module")
def server() -> Iterator[StartedServer]:
    with started_llama_server() as started:
        yield started


def posted(url: str, path: str, body: object) -> bytes:
    request = urllib.request.Request(
        url + path, data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        text: bytes = answer.read()
        return text


def chat(content: str, *, max_tokens: int, **more: object) -> dict[str, object]:
    messages = [{"role": "user", "content": content}]
    return {"model": "tiny", "messages": messages, "max_tokens": max_tokens, **more}


def planned(index: int, *, at_seconds: float = 0.0, output_tokens: int = 8) -> PlannedRequest:
    return PlannedRequest(
        service="tiny",
        index=index,
        at_seconds=at_seconds,
        prompt_tokens=20,
        output_tokens=output_tokens,
    )


def run_and_fail(*, port: int, model_path: Path) -> tuple[int, list[str]]:
    """Exit status and lines on stderr of a server that cannot start."""
    command = server_command(port=port, model_path=model_path)
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return done.returncode, done.stderr.splitlines()


class TestServing:
    def test_it_says_which_model_it_serves_and_how_many_at_a_time(
        self, server: StartedServer
    ) -> None:
        with urllib.request.urlopen(f"{server.url}/v1/models", timeout=5) as answer:
            models = json.load(answer)
        with urllib.request.urlopen(f"{server.url}/props", timeout=5) as answer:
            properties = json.load(answer)
        assert [model["id"] for model in models["data"]] == ["tiny"]
        assert properties["total_slots"] == 2
        assert properties["default_generation_settings"]["n_ctx"] == 2048  # of each slot

    @pytest.mark.parametrize("temperature", [0, 1.5], ids=["greedy", "sampled"])
    def test_an_answer_is_as_long_as_asked_and_one_byte_of_a_prompt_is_one_token(
        self, server: StartedServer, temperature: float
    ) -> None:
        body = chat(
            "abcde fghij",
            max_tokens=300,
            temperature=temperature,
            top_k=0,
            top_p=1,
            min_p=0,
            stream=True,
            stream_options={"include_usage": True},
        )
        lines = posted(server.url, "/v1/chat/completions", body).decode().splitlines()
        data = [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]
        events = [json.loads(each) for each in data[:-1]]
        deltas = [choice for event in events for choice in event["choices"]]
        texts = [choice["delta"].get("content") for choice in deltas]
        assert data[-1] == "[DONE]"
        assert len([text for text in texts if text]) == 300  # one event per token
        assert set("".join(text for text in texts if text)) <= set("abcdefghijklmnopqrstuvwxyz ")
        assert [c["finish_reason"] for c in deltas if c["finish_reason"]] == ["length"]
        assert events[-1]["usage"]["completion_tokens"] == 300
        assert events[-1]["usage"]["prompt_tokens"] == 11 + 2

    def test_a_repeated_prompt_is_computed_again(self, server: StartedServer) -> None:
        answers = [
            json.loads(posted(server.url, "/v1/chat/completions", chat("x" * 200, max_tokens=1)))
            for _ in range(3)
        ]
        assert [answer["timings"]["prompt_n"] for answer in answers] == [202, 202, 202]

    def test_metrics_count_the_tokens(self, server: StartedServer) -> None:
        def predicted() -> float:
            with urllib.request.urlopen(f"{server.url}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
            samples = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
            return float(samples["llamacpp:tokens_predicted_total"])

        before = predicted()
        posted(server.url, "/v1/chat/completions", chat("count", max_tokens=40))
        assert predicted() - before == 40

    def test_embeddings_on_request(self) -> None:
        with started_llama_server(more=["--embedding"]) as embedder:
            answer = json.loads(
                posted(embedder.url, "/v1/embeddings", {"model": "tiny", "input": "hello"})
            )
        assert len(answer["data"][0]["embedding"]) == 64


class TestRefusing:
    def test_a_missing_model(self, tmp_path: Path) -> None:
        missing = tmp_path / "none.gguf"
        status, lines = run_and_fail(port=free_port(), model_path=missing)
        assert status == 1
        assert lines == [
            f"llama_server: cannot read the model file {missing}: No such file or directory"
        ]

    def test_a_file_that_is_no_model(self, tmp_path: Path) -> None:
        other = tmp_path / "notes.gguf"
        other.write_text("notes")
        status, lines = run_and_fail(port=free_port(), model_path=other)
        assert status == 1
        assert len(lines) == 1
        assert "notes.gguf is not a GGUF file" in lines[0]

    def test_a_model_that_was_cut_short(self, tmp_path: Path) -> None:
        part = tmp_path / "part.gguf"
        part.write_bytes(tiny_model_path().read_bytes()[:200_000])
        status, lines = run_and_fail(port=free_port(), model_path=part)
        assert status == 1
        assert len(lines) == 1
        assert "llama.cpp refused to serve" in lines[0]

    def test_an_engine_that_is_not_installed(self) -> None:
        command = server_command(port=free_port(), model_path=tiny_model_path())
        without_wheel = (
            "import sys; sys.modules['xllamacpp'] = None\n"
            "from foresail.demo.llama_server import main\n"
            f"sys.exit(main({command[3:]!r}))"
        )
        done = subprocess.run(
            [sys.executable, "-c", without_wheel], capture_output=True, text=True, check=False
        )
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert "pip install 'foresail[demo]'" in done.stderr

    def test_a_port_in_use(self) -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            status, lines = run_and_fail(port=port, model_path=tiny_model_path())
        assert status == 1
        assert len(lines) == 1
        assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in lines[0]


class TestEnding:
    def test_sigterm_ends_it_at_once_while_a_stream_runs(self) -> None:
        with started_llama_server() as server:
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
            body = json.dumps(chat("long", max_tokens=2000, stream=True))
            connection.request(
                "POST", "/v1/chat/completions", body, {"Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            received = answer.read(2000)
            server.process.send_signal(signal.SIGTERM)
            status = server.process.wait(STOP_SECONDS)
            with pytest.raises((http.client.IncompleteRead, ConnectionError)):
                answer.read()
            connection.close()
        assert status == 0
        assert b"data: " in received

    def test_sigint_ends_it_too(self) -> None:
        with started_llama_server() as server:
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(STOP_SECONDS) == 0

    def test_it_outlives_a_parent_that_was_killed(self) -> None:
        port = free_port()
        command = server_command(port=port, model_path=tiny_model_path())
        # The parent holds the engine's output in pipes, which break with it.
        parent_code = (
            "import subprocess, sys, time\n"
            f"engine = subprocess.Popen({command!r}, stdout=-1, stderr=-1, start_new_session=True)\n"
            "print(engine.pid, flush=True)\n"
            "time.sleep(60)\n"
        )
        url = f"http://127.0.0.1:{port}"
        with subprocess.Popen([sys.executable, "-c", parent_code], stdout=-1) as parent:
            assert parent.stdout is not None
            engine_pid = int(parent.stdout.readline())
            try:
                wait_until(lambda: is_healthy(url), what="the engine answers", seconds=20)
                parent.kill()
                parent.wait()
                answer = json.loads(
                    posted(url, "/v1/chat/completions", chat("still there", max_tokens=5))
                )
                assert answer["usage"]["completion_tokens"] == 5
            finally:
                os.kill(engine_pid, signal.SIGTERM)
        wait_until(lambda: not is_healthy(url), what="the engine is gone", seconds=STOP_SECONDS)


class TestUnderLoad:
    async def test_a_measurement_finds_a_prompt_token_cheaper_than_an_output_token(
        self, server: StartedServer
    ) -> None:
        found = await measure_costs(base_url=server.url, variant=make_variant(slots=2))
        assert found is not None
        assert 0 < found.prompt_seconds_per_token < found.output_seconds_per_token < 1

    async def test_a_replay_gets_every_answer_in_full(self, server: StartedServer) -> None:
        results: list[RequestResult] = []
        count = await replay(
            [
                planned(index, at_seconds=0.01 * index, output_tokens=1 + index)
                for index in range(9)
            ],
            endpoint=Endpoint(url=server.url),
            clock=SystemClock(),
            on_result=results.append,
            stop_event=asyncio.Event(),
        )
        assert (count.planned, count.sent, count.ok) == (9, 9, 9)
        assert {r.request.index: r.output_tokens for r in results} == {
            index: 1 + index for index in range(9)
        }
        assert {r.prompt_tokens for r in results} == {20}

    async def test_a_replay_sees_an_engine_die(self) -> None:
        results: list[RequestResult] = []
        with started_llama_server() as server:
            running = asyncio.create_task(
                replay(
                    [planned(index, output_tokens=2000) for index in range(3)],
                    endpoint=Endpoint(url=server.url),
                    clock=SystemClock(),
                    on_result=results.append,
                    stop_event=asyncio.Event(),
                )
            )
            await asyncio.to_thread(
                wait_until, lambda: is_busy(server.url), what="two requests run", seconds=10
            )
            server.process.kill()
            count = await running
        assert (count.sent, count.ok, count.failed) == (3, 0, 3)
        assert {result.outcome for result in results} <= {
            Outcome.TRUNCATED,
            Outcome.CONNECTION_ERROR,
        }


def is_busy(url: str) -> bool:
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
        return b"llamacpp:requests_processing 2" in answer.read()
