"""Engines that a command starts or ends by itself, outside the control loop.

In: a variant to measure, or a state directory to clear. Out: a measurement, or how many were ended.
"""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

import structlog

from autoscaler.actuators.process import ProcessRunner
from autoscaler.errors import LedgerError, StartFailed
from autoscaler.fence import ControllerFence
from collector.clock import SystemClock
from collector.errors import ConfigurationError
from collector.model.catalogue import CapacityPrior, Variant
from collector.model.ids import ReplicaId, ServiceName
from collector.model.reading import fresh_value
from collector.sources.proc_memory import ProcessMemoryProbe
from foresail.settings import Settings
from foresail.wiring.control import assembled

LEFT_OVER_SECONDS = 10.0
"""From SIGTERM to SIGKILL for engines that are ended without a catalogue to ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineMeasurement:
    """One engine of a variant, measured alone."""

    capacity: CapacityPrior
    memory_bytes: int  # after the probe, so that caches are in use


async def measure_engine(
    variant: Variant, *, service: ServiceName, state_dir: Path
) -> EngineMeasurement:
    """Starts one engine, measures it for a few seconds, ends it. Raises StartFailed, StopFailed."""
    runner = ProcessRunner(state_dir=state_dir, base_environment=os.environ)
    replica_id, port = ReplicaId(f"{service}-measured"), runner.free_port()
    base_url = f"http://127.0.0.1:{port}"
    handle = await runner.spawn(replica_id=replica_id, service=service, variant=variant, port=port)
    try:
        await runner.wait_ready(base_url=base_url, handle=handle, variant=variant)
        capacity = await runner.probe(base_url=base_url, variant=variant)
        memory = _memory_of(replica_id, pid=handle.pid)
    finally:
        await runner.end(replica_id=replica_id, timeout_seconds=10.0)
    if capacity is None or memory is None:
        raise StartFailed(f"{service}: the engine answers but cannot be measured; see its log")
    return EngineMeasurement(capacity=capacity, memory_bytes=memory)


def _memory_of(replica_id: ReplicaId, *, pid: int) -> int | None:
    probe = ProcessMemoryProbe(
        list_processes=lambda: ((replica_id, pid),), list_pools=tuple, clock=SystemClock()
    )
    memory = fresh_value(probe.replica_memory_bytes()[replica_id])
    return None if memory is None else int(memory)


async def end_engines(settings: Settings) -> int:
    """Ends every engine of the state directory; how many there were.

    For a box whose controller is gone; drains nothing. A catalogue or a ledger that cannot be used
    keeps no engine running: they are ended without a record. Raises NotLeader while a controller is
    there.
    """
    try:
        return await _end_on_record(settings)
    except (ConfigurationError, LedgerError) as error:
        why = str(error)
    structlog.get_logger("foresail.controller").error("engines_end_without_record", error=why)
    return await end_left_over(settings.state_dir)


def count_engines(state_dir: Path) -> int:
    """Living engines of a state directory."""
    return len(ProcessRunner(state_dir=state_dir, base_environment=os.environ).find_all())


async def end_left_over(state_dir: Path) -> int:
    """Ends the engines of a state directory without a record of it; how many there were.

    For what a killed controller has left. Raises NotLeader while one is there, and StopFailed.
    """
    runner = ProcessRunner(state_dir=state_dir, base_environment=os.environ)
    if not runner.find_all():
        return 0
    with ControllerFence(state_dir):
        found = runner.find_all()
        await asyncio.gather(
            *(runner.end(replica_id=each, timeout_seconds=LEFT_OVER_SECONDS) for each in found)
        )
    return len(found)


async def _end_on_record(settings: Settings) -> int:
    async with assembled(settings, journal=lambda it: it) as all_parts:
        all_parts.permission.a_person_ends_engines = True
        count = len(all_parts.runner.find_all())  # those that no record tells of are ended, too
        await all_parts.executor.recover()
        await all_parts.close(stop_engines=True, longest_drain_seconds=0.0)
    return count
