"""Debian's node_exporter for tests: what it tells of memory, on a free loopback port."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from support.engines import free_port
from support.real_programs import served

NODE_EXPORTER = shutil.which("prometheus-node-exporter") or shutil.which("node_exporter")
_COLLECTORS = ("meminfo", "pressure", "vmstat", "hwmon")


@contextlib.asynccontextmanager
async def running_node_exporter(folder: Path) -> AsyncIterator[str]:
    """The address of its page."""
    address = f"127.0.0.1:{free_port()}"
    command = [
        NODE_EXPORTER or "prometheus-node-exporter",
        f"--web.listen-address={address}",
        "--collector.disable-defaults",
        *(f"--collector.{name}" for name in _COLLECTORS),
    ]
    url = f"http://{address}/metrics"
    async with served(command, ready_url=url, log=folder / "node_exporter.log"):
        yield url
