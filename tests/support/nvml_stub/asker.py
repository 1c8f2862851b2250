"""A process that asks the real adapter whenever a line arrives; started with the stub's folder in
LD_LIBRARY_PATH, which the dynamic loader reads at a process's start only.

In, on stdin: `read` or `close`. Out, on stdout: one line each, the pickled survey or nothing.
"""

import asyncio
import base64
import pickle
import sys

from collector.clock import SystemClock
from collector.sources.nvml import NvmlDeviceProbe


def tell(content: bytes) -> None:
    sys.stdout.write(base64.b64encode(content).decode() + "\n")
    sys.stdout.flush()


async def answer_lines(*, timeout_seconds: float) -> None:
    probe = NvmlDeviceProbe(clock=SystemClock(), timeout_seconds=timeout_seconds)
    for line in iter(sys.stdin.readline, ""):
        if line.strip() == "close":
            await probe.close()
            tell(b"")
            continue
        survey = await probe.read_devices()
        tell(pickle.dumps(survey))


if __name__ == "__main__":
    asyncio.run(answer_lines(timeout_seconds=float(sys.argv[1])))
