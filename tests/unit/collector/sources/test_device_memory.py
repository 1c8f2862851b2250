"""Memory of accelerators in pools: what the library tells, the host's rules where it tells nothing."""

import shutil
from pathlib import Path

import pytest

from collector.clock import VirtualClock
from collector.model.catalogue import MemoryPool, PoolKind
from collector.model.device import DeviceMemoryKind, DeviceProcess
from collector.model.ids import PoolName, ReplicaId
from collector.model.reading import Missing, MissingReason, Stale
from collector.sources.device_memory import DeviceMemoryProbe
from collector.sources.proc_memory import ProcessMemoryProbe
from support.fake_devices import (
    GIB,
    UUID,
    FakeDeviceProbe,
    blind_survey,
    device,
    known,
    mig_slice,
    no_memory,
    survey,
    unknown,
)
from support.nvml_stub import profiles
from support.nvml_stub.library import AskedProbe, build_stub, stub_environment, write_state

R1, R2 = ReplicaId("r1"), ReplicaId("r2")
GPU, BOX = PoolName("gpu"), PoolName("box")
FREE = 143_771 * 1024**2 - 20 * GIB - 600 * 1024**2


def add_process(proc: Path, pid: int, *, session: int) -> None:
    """A process that holds 100 KiB of the host."""
    folder = proc / str(pid)
    folder.mkdir()
    rest = " ".join(["0"] * 15)
    (folder / "stat").write_text(f"{pid} (e) S 1 {session} {session} {rest} 5 0 0\n")
    (folder / "smaps_rollup").write_text("Pss: 100 kB\n")


class Machine:
    """Two replicas; the first has a child which computes on the accelerator."""

    def __init__(self, proc, *, named=UUID, kind=PoolKind.DISCRETE, devices=None):
        add_process(proc, 4_000, session=4_000)
        add_process(proc, 4_242, session=4_000)
        add_process(proc, 5_000, session=5_000)
        (proc / "meminfo").write_text("MemAvailable: 1000 kB\n")
        self.clock = VirtualClock(1_000.0)
        self.devices = devices or FakeDeviceProbe()
        pools = (
            MemoryPool(name=GPU, kind=kind, capacity_bytes=GIB, reserve_bytes=0, device=named),
            MemoryPool(name=BOX, kind=PoolKind.UNIFIED, capacity_bytes=GIB, reserve_bytes=0),
        )
        self.probe = DeviceMemoryProbe(
            devices=self.devices,
            host=ProcessMemoryProbe(
                list_processes=lambda: [(R1, 4_000), (R2, 5_000)],
                list_pools=lambda: pools,
                clock=self.clock,
                proc=proc,
            ),
            list_pools=lambda: pools,
            pool_of={R1: GPU, R2: BOX}.get,
            clock=self.clock,
        )

    async def look(self):
        """(held by r1, free in its pool), after a look."""
        problems = await self.probe.look()
        return (*self.now(), problems)

    def now(self):
        held = self.probe.replica_memory_bytes()[R1]
        free = self.probe.pool_available_bytes()[GPU]
        return shown(held), shown(free)


def shown(reading):
    return reading.reason if isinstance(reading, Missing) else reading.value


@pytest.mark.parametrize("named", [UUID, UUID.lower().replace("gpu", "GPU"), "0"])
async def test_free_memory_and_what_a_replica_holds_are_the_accelerators(tmp_path, named):
    machine = Machine(tmp_path, named=named)
    assert await machine.look() == (20 * GIB, FREE, ())
    assert shown(machine.probe.replica_memory_bytes()[R2]) == 100 * 1024
    assert shown(machine.probe.pool_available_bytes()[BOX]) == 1000 * 1024


async def test_memory_that_is_the_hosts_follows_the_hosts_rules(tmp_path):
    machine = Machine(tmp_path)
    machine.devices.survey = survey(
        device(memory_kind=DeviceMemoryKind.UNIFIED, memory=no_memory(), processes=known(()))
    )
    assert await machine.look() == (200 * 1024, 1000 * 1024, ())


@pytest.mark.parametrize(
    ("processes", "reason"),
    [
        pytest.param(known(()), MissingReason.SERIES_ABSENT, id="not-listed"),
        pytest.param(
            known((DeviceProcess(pid=9, used_bytes=GIB, gpu_instance_id=None),)),
            MissingReason.SERIES_ABSENT,
            id="somebody-elses",
        ),
        pytest.param(
            known((DeviceProcess(pid=4_242, used_bytes=None, gpu_instance_id=None),)),
            MissingReason.CANNOT_SEE,
            id="listed-without-a-figure",
        ),
        pytest.param(unknown(), MissingReason.CANNOT_SEE, id="list-not-supported"),
    ],
)
async def test_what_is_not_told_of_a_replica_is_missing_not_zero(tmp_path, processes, reason):
    machine = Machine(tmp_path)
    machine.devices.survey = survey(device(processes=processes))
    assert await machine.look() == (reason, FREE, ())


async def test_a_driver_that_cannot_be_asked_leaves_nothing_and_says_so(tmp_path):
    machine = Machine(tmp_path)
    machine.devices.survey = blind_survey(MissingReason.SOURCE_UNREACHABLE)
    held, free, problems = await machine.look()
    assert held is free is MissingReason.SOURCE_UNREACHABLE
    assert [each.message for each in problems] == ["the driver cannot be asked"]


async def test_an_accelerator_that_is_not_there_is_told(tmp_path):
    held, free, problems = await Machine(tmp_path, named="3").look()
    assert held is free is MissingReason.SERIES_ABSENT
    assert [each.message for each in problems] == [
        "pool gpu: there is no accelerator 3 among the 1 of this machine; correct `device`, see "
        "`nvidia-smi -L`"
    ]


async def test_a_slice_is_a_place_of_its_own(tmp_path):
    machine = Machine(tmp_path, named="MIG-7")
    machine.devices.survey = survey(
        device(
            mig_instances=known(
                (mig_slice(gpu_instance_id=7, profile="1g.18gb", total=18 * GIB, used=5 * GIB),)
            ),
            processes=known(
                (
                    DeviceProcess(pid=4_242, used_bytes=4 * GIB, gpu_instance_id=7),
                    DeviceProcess(pid=4_000, used_bytes=9 * GIB, gpu_instance_id=8),
                )
            ),
        )
    )
    assert await machine.look() == (4 * GIB, 13 * GIB, ())


async def test_an_old_look_is_stale(tmp_path):
    machine = Machine(tmp_path)
    await machine.look()
    await machine.clock.advance(16)
    assert isinstance(machine.probe.pool_available_bytes()[GPU], Stale)
    assert isinstance(machine.probe.replica_memory_bytes()[R1], Stale)


def test_before_the_first_look_nothing_is_known(tmp_path):
    assert Machine(tmp_path).now() == (MissingReason.NOT_READ_YET, MissingReason.NOT_READ_YET)


async def test_without_a_declared_device_nobody_asks_the_driver(tmp_path):
    machine = Machine(tmp_path, named=None)
    assert await machine.look() == (MissingReason.CANNOT_SEE, MissingReason.CANNOT_SEE, ())
    assert machine.devices.read_count == 0


@pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc to build the stub with")
@pytest.mark.parametrize("name", ["h200", "gb10"])
async def test_the_real_library_calls_tell_the_same(tmp_path, name):
    state, proc = tmp_path / "state", tmp_path / "proc"
    proc.mkdir()
    write_state(state, getattr(profiles, name)())
    environment = stub_environment(build_stub(tmp_path / "stub"), state=state)
    with AskedProbe(environment) as devices:
        machine = Machine(proc, named="0", devices=devices)
        await machine.probe.look()
        free = machine.probe.pool_available_bytes()[GPU]
    assert shown(free) == {"h200": FREE, "gb10": 1000 * 1024}[name]
