"""Debian's Prometheus for tests: on a free loopback port, with files in one folder, gone afterwards."""

import asyncio
import contextlib
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from support.desks import read_json, read_text, wait_until
from support.engines import free_port, stop

PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")
CONFIG = {
    "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
    "scrape_configs": [{"job_name": "desk", "file_sd_configs": [{"files": ["targets.json"]}]}],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prometheus:
    """A server that scrapes every second what its targets file names."""

    url: str
    folder: Path

    def watch(self, addresses: Mapping[str, Iterable[str]]) -> None:
        """Scrapes exactly these: {job: host:port of each}. Taken up within moments."""
        groups = [
            {"labels": {"job": job}, "targets": sorted(of_job)} for job, of_job in addresses.items()
        ]
        new = self.folder / "targets.new"
        new.write_text(json.dumps(groups))
        new.replace(self.folder / "targets.json")

    async def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """(labels, value) of each series of an instant query."""
        answer = await read_json(f"{self.url}/api/v1/query?query={quote(expression)}")
        assert answer is not None, f"refused: {expression}"
        assert answer["status"] == "success", answer
        return [(each["metric"], float(each["value"][1])) for each in answer["data"]["result"]]

    async def value(self, expression: str) -> float | None:
        """The one value of a query; None when it gives no series."""
        found = await self.query(expression)
        assert len(found) <= 1, found
        return found[0][1] if found else None

    async def health(self) -> dict[str, str]:
        """{host:port: health} of every target, with what went wrong."""
        answer = await read_json(f"{self.url}/api/v1/targets?state=active")
        targets: list[dict[str, Any]] = answer["data"]["activeTargets"] if answer else []
        return {
            each["labels"]["instance"]: f"{each['health']} {each['lastError']}".strip()
            for each in targets
        }


@contextlib.asynccontextmanager
async def running_prometheus(
    folder: Path, *, history: Path | None = None
) -> AsyncIterator[Prometheus]:
    """A Prometheus that is ready and scrapes nothing yet; `history` is an OpenMetrics file of its past."""
    made, process = _started(folder, history=history)
    log = folder / "prometheus.log"

    async def is_ready() -> bool:
        assert process.poll() is None, log.read_text()[-1000:]
        return await read_text(f"{made.url}/-/ready") is not None

    try:
        await wait_until(is_ready, what=lambda: log.read_text()[-1000:])
        yield made
    finally:
        await asyncio.to_thread(stop, process)


def _started(folder: Path, *, history: Path | None) -> tuple[Prometheus, "subprocess.Popen[bytes]"]:
    folder.mkdir()
    if history is not None:
        make_blocks(history, folder / "data")
    (folder / "targets.json").write_text("[]")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(CONFIG))
    port = free_port()
    command = [
        PROMETHEUS or "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    return Prometheus(url=f"http://127.0.0.1:{port}", folder=folder), process


def make_blocks(openmetrics: Path, data: Path) -> None:
    """Turns a file of samples with timestamps into the storage of a Prometheus that is not running."""
    command = [PROMTOOL or "promtool", "tsdb", "create-blocks-from", "openmetrics"]
    subprocess.run(
        [*command, str(openmetrics), str(data)], check=True, capture_output=True, timeout=60
    )


def lint(page: str) -> str:
    """What `promtool check metrics` says about a page; empty when it has nothing to say."""
    found = subprocess.run(
        [PROMTOOL or "promtool", "check", "metrics"],
        input=page,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    said = found.stdout + found.stderr
    return said or ("" if found.returncode == 0 else f"exit code {found.returncode}")
