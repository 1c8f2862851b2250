"""A whole desk for tests: settings, catalogue, gateway and controller as real processes on loopback.

Engines are real llama.cpp servers with a tiny model. Everything lives in one folder; `close` ends
all of it and says which engine processes were left.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from support.engines import free_port, tiny_model_path
from support.gateways import Samples, matching, parse_samples

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 40.0

CONTROL = {
    "level_window": "2s",
    "length_window": "6s",
    "scale_in_hold": "1s",
    "idle_to_zero": "2s",
    "backlog_drain": "2s",
    "stale_after": "5s",
    "start_retry": "300ms",
    "start_retry_max": "2s",
}


def llama_command(*more: str, model: Path | str | None = None) -> list[str]:
    """The catalogue's command for a real engine."""
    return [
        "{python}",
        "-m",
        "foresail.demo.llama_server",
        "--port",
        "{port}",
        "--model",
        str(model or tiny_model_path()),
        "--alias",
        "tiny",
        *more,
    ]


def service(
    *,
    min_replicas: int = 1,
    max_replicas: int = 2,
    command: list[str] | None = None,
    required_files: tuple[str, ...] = (),
    hold_timeout: str = "20s",
    startup_timeout: str = "15s",
    health_path: str = "/health",
) -> dict[str, Any]:
    """One service of a catalogue with one process variant."""
    return {
        "owner": "test",
        "tier": "gold",
        "models": ["tiny"],
        "objectives": [
            {"sli": "time_to_first_token", "threshold": "2.5s", "target": 0.9, "window": "1h"}
        ],
        "hold_timeout": hold_timeout,
        "max_held_requests": 50,
        "variants": {
            "llama": {
                "engine": "llama_cpp",
                "pool": "desk",
                "memory": "300MiB",
                "slots": 2,
                "min_replicas": min_replicas,
                "max_replicas": max_replicas,
                "cost_per_hour": 0.1,
                "keep_alive": False,
                "capacity": {
                    "prompt_seconds_per_token": 0.0005,
                    "output_seconds_per_token": 0.005,
                },
                "target": {
                    "kind": "process",
                    "command": command or llama_command(),
                    "required_files": list(required_files),
                    "startup_timeout": startup_timeout,
                    "health_path": health_path,
                    "drain_timeout": "20s",
                    "terminate_timeout": "5s",
                },
            }
        },
    }


def catalogue(services: Mapping[str, Any], *, mode: str = "active") -> dict[str, Any]:
    """A catalogue file's content."""
    return {
        "version": 1,
        "authority": {"mode": mode, "scale": "auto"},
        "pools": {"desk": {"kind": "unified", "capacity": "4GiB"}},
        "tiers": {"gold": {"violation_price_per_minute": 10}},
        "control": CONTROL,
        "services": dict(services),
    }


@dataclass
class Desk:
    """One state directory with its processes."""

    folder: Path
    gateway_port: int
    controller_port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def settings_path(self) -> Path:
        return self.folder / "foresail.yaml"

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def controller_url(self) -> str:
        return f"http://127.0.0.1:{self.controller_port}"

    def write_catalogue(self, content: Mapping[str, Any] | str) -> None:
        """Replaces the catalogue at once, as an editor does."""
        text = content if isinstance(content, str) else yaml.safe_dump(dict(content))
        new = self.folder / "catalogue.new"
        new.write_text(text)
        new.replace(self.folder / "catalogue.yaml")

    def start(self, name: str, *flags: str, script: Path | None = None) -> subprocess.Popen[bytes]:
        """`foresail gateway` or `foresail controller`, or a script of the tests in its place."""
        words = (
            [str(script), str(self.settings_path)]
            if script
            else ["-m", "foresail", name, "--settings", str(self.settings_path)]
        )
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *words, *flags], stdout=log, stderr=log, cwd=self.folder
            )
        self.processes.append(process)
        return process

    def run(self, *words: str, seconds: float = 30.0) -> subprocess.CompletedProcess[str]:
        """`foresail WORDS` from its start to its end, with what it said on stdout and stderr."""
        command = [sys.executable, "-m", "foresail", *words, "--settings", str(self.settings_path)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False, cwd=self.folder
        )

    def log(self, name: str) -> str:
        """What a process wrote so far; of those that `up` runs, too."""
        paths = (self.folder / f"{name}.log", self.state_dir / "logs" / f"{name}.log")
        return "".join(path.read_text() for path in paths if path.exists())

    def events(self, name: str, event: str) -> list[dict[str, Any]]:
        """The JSON lines of a log that tell of this event."""
        lines = [line for line in self.log(name).splitlines() if line.startswith("{")]
        return [found for line in lines if (found := json.loads(line)).get("event") == event]

    def process_ids(self, name: str) -> set[int]:
        """Living processes `foresail NAME` of this desk, whoever started them."""
        words = [b"foresail", name.encode(), b"--settings", str(self.settings_path).encode()]
        found: set[int] = set()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    given = (entry / "cmdline").read_bytes().split(b"\0")
                    if given[2:6] == words:
                        found.add(int(entry.name))
        return found

    async def gateway_samples(self) -> Samples:
        """The gateway's metrics page; empty while it does not answer."""
        self.check()
        return parse_samples(await read_text(f"{self.gateway_url}/metrics") or "")

    async def gateway_value(self, name: str, **labels: str) -> float:
        """The sum of all samples of `name` with at least these labels; 0 without any."""
        return sum(matching(await self.gateway_samples(), name, **labels))

    def engine_pids(self) -> dict[str, int]:
        """{replica id: pid} of every living engine process of this state directory."""
        found: dict[str, int] = {}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with contextlib.suppress(OSError):
                raw = (entry / "environ").read_bytes().split(b"\0")
                variables = dict(part.split(b"=", 1) for part in raw if b"=" in part)
                if variables.get(b"FORESAIL_STATE_DIR") == str(self.state_dir).encode():
                    found[variables[b"FORESAIL_REPLICA_ID"].decode()] = int(entry.name)
        return found

    def check(self) -> None:
        """Fails at once when a process has ended with an error, rather than at a deadline."""
        for process in self.processes:
            code = process.poll() or 0  # a signal, which is below 0, was the test's
            assert code <= 0, f"exit code {code}: {process.args!r}\n{self._last_words()}"

    def _last_words(self) -> str:
        logs = [self.folder / f"{name}.log" for name in ("up", "gateway", "controller")]
        return "\n".join(path.read_text()[-1500:] for path in logs if path.exists())

    async def state(self) -> dict[str, Any] | None:
        """The controller's `/v1/state`; None while it does not answer."""
        self.check()
        return await read_json(f"{self.controller_url}/v1/state")

    async def decisions(self) -> list[dict[str, Any]]:
        """All remembered decisions, newest first."""
        self.check()
        body = await read_json(f"{self.controller_url}/v1/decisions?last=500")
        return body["decisions"] if body else []

    async def serving_count(self) -> int:
        """Replicas that the controller says serve; -1 while it does not answer."""
        state = await self.state()
        if state is None:
            return -1
        replicas = [each for each in state["services"] for each in each["replicas"]]
        return sum(replica["state"] == "serving" for replica in replicas)

    async def wait_serving(self, count: int) -> None:
        """Returns once exactly that many replicas serve."""

        async def reached() -> bool:
            return await self.serving_count() == count and len(self.engine_pids()) == count

        await wait_until(
            reached, what=lambda: f"{count} serving; log: {self.log('controller')[-2000:]}"
        )

    def close(self) -> None:
        """Ends every process of the desk, the engines too."""
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            if process.poll() is None:
                process.kill()
                process.wait(10)
        orphans = {pid for name in ("controller", "gateway") for pid in self.process_ids(name)}
        for pid in (*orphans, *self.engine_pids().values()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def desk(folder: Path, content: Mapping[str, Any] | str) -> Iterator[Desk]:
    """A desk with files written and nothing running yet."""
    made = Desk(folder=folder, gateway_port=free_port(), controller_port=free_port())
    settings = {
        "catalogue": "catalogue.yaml",
        "state_dir": "state",
        "gateway": {"port": made.gateway_port},
        "controller": {"port": made.controller_port},
        "ticks": {"ingest": "200ms", "decide": "400ms"},
        "history": {"bin": "1s", "keep": "1h"},
        "logging": {"format": "json"},
    }
    made.settings_path.write_text(yaml.safe_dump(settings))
    made.write_catalogue(content)
    try:
        yield made
    finally:
        made.close()


async def read_json(url: str) -> dict[str, Any] | None:
    """The JSON object there; None when nobody answers with one."""
    text = await read_text(url)
    try:
        body: dict[str, Any] | None = None if text is None else json.loads(text)
    except ValueError:
        return None
    return body


async def read_text(url: str) -> str | None:
    """What is there; None when nobody answers with 200 within three seconds."""
    timeout = aiohttp.ClientTimeout(total=3)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            return await answer.text() if answer.status == 200 else None
    except (aiohttp.ClientError, TimeoutError):
        return None


async def wait_until(
    condition: Callable[[], Any], *, what: Callable[[], str], seconds: float = DEADLINE_SECONDS
) -> None:
    """Returns once the awaitable condition holds; fails with `what` at the deadline."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not await condition():
        assert loop.time() < deadline, f"not within {seconds:g} s: {what()}"
        await asyncio.sleep(0.05)


@dataclass
class Streams:
    """Users who ask one streamed completion after another, and what they got."""

    url: str
    completed: int = 0
    failures: list[str] = field(default_factory=list)

    async def run(self, *, stop: asyncio.Event) -> None:
        """One user; ends after the answer during which `stop` was set."""
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while not stop.is_set():
                failure = await self._ask(session)
                if failure is None:
                    self.completed += 1
                else:
                    self.failures.append(failure)

    async def ask_once(self) -> str | None:
        """Why one answer was not whole; None when it was. Not counted."""
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            return await self._ask(session)

    async def _ask(self, session: aiohttp.ClientSession) -> str | None:
        body = {
            "model": "tiny",
            "stream": True,
            "max_tokens": 24,
            "messages": [{"role": "user", "content": "tell me something"}],
        }
        try:
            async with session.post(f"{self.url}/v1/chat/completions", json=body) as answer:
                text = (await answer.read()).decode()
        except (aiohttp.ClientError, TimeoutError) as error:
            return f"{type(error).__name__}: {error}"
        if answer.status != 200:
            return f"HTTP {answer.status}: {text[:200]}"
        events = [line[6:] for line in text.splitlines() if line.startswith("data: ")]
        if not events or events[-1] != "[DONE]":
            return f"cut off after {len(events)} events"
        broken = [event for event in events[:-1] if "error" in json.loads(event)]
        return broken[0] if broken else None


@contextlib.asynccontextmanager
async def streaming(desk: Desk, *, users: int = 2) -> AsyncIterator[Streams]:
    """Users stream through the gateway inside the `async with`."""
    streams, stop = Streams(url=desk.gateway_url), asyncio.Event()
    tasks = [asyncio.create_task(streams.run(stop=stop)) for _ in range(users)]
    try:
        yield streams
    finally:
        stop.set()
        await asyncio.gather(*tasks)
