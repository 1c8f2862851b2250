"""The real nvidia-ml-py on the C stub: every profile, every error code, and a driver that hangs."""

import dataclasses
import shutil
import time

import pytest

from collector.model.device import ClockReason, DeviceIdentity, DeviceMemoryKind, RecoveryAction
from collector.model.reading import Fresh, Missing, MissingReason
from support.nvml_stub import profiles
from support.nvml_stub.library import AskedProbe, build_stub, stub_environment, write_state

GIB = 1 << 30
pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="no gcc to build the stub with")


class Machine:
    """A state file and the adapter that looks at it."""

    def __init__(self, folder, *, library, timeout_seconds=3.0):
        self._path = folder / "state"
        environment = stub_environment(library, state=self._path)
        self.probe = AskedProbe(environment, timeout_seconds=timeout_seconds)

    def become(self, state, **more):
        write_state(self._path, {**state, **more})

    async def look(self):
        return await self.probe.read_devices()

    async def device(self):
        (found,) = (await self.look()).devices.value
        return found


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return build_stub(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def machine(library, tmp_path):
    made = Machine(tmp_path, library=library)
    with made.probe:
        yield made


async def test_memory_is_told_in_bytes_with_reserved_apart(machine):
    machine.become(profiles.h200())
    memory = (await machine.device()).memory
    assert memory.total_bytes.value == 143_771 * 1024**2
    assert memory.used_bytes.value == 20 * GIB
    assert memory.reserved_bytes.value == 600 * 1024**2
    assert memory.free_bytes.value == 143_771 * 1024**2 - 20 * GIB - 600 * 1024**2


async def test_an_older_library_tells_memory_without_reserved(machine):
    machine.become(profiles.a100(), **{"fault.nvmlDeviceGetMemoryInfo_v2": 13})
    found = await machine.device()
    assert found.memory.used_bytes.value == 10 * GIB
    assert found.memory.reserved_bytes == Missing(reason=MissingReason.CANNOT_SEE, source="nvml")
    assert found.memory_kind is DeviceMemoryKind.DISCRETE


async def test_errors_links_and_reasons_are_told(machine):
    machine.become(profiles.h200())
    found = await machine.device()
    errors = found.errors
    assert errors.ecc_corrected_since_boot.value == 3
    assert errors.ecc_uncorrected_lifetime.value == 1
    assert (errors.remapped_rows_correctable.value, errors.remap_is_pending.value) == (2, False)
    assert errors.recovery_action.value is RecoveryAction.NONE
    assert found.nvlink.active_links.value == 18
    assert found.nvlink.crc_flit_errors_total.value == 5
    assert found.clock_reasons.value == {
        ClockReason.SOFTWARE_POWER_CAP,
        ClockReason.SOFTWARE_THERMAL,
    }


async def test_slices_have_their_own_memory_and_the_gpu_no_utilisation(machine):
    machine.become(profiles.a100_with_slices())
    found = await machine.device()
    assert found.mig_mode.value.is_on
    assert [(each.profile, each.gpu_instance_id) for each in found.mig_instances.value] == [
        ("3g.20gb", 1),
        ("1g.5gb", 7),
    ]
    assert found.mig_instances.value[1].memory.used_bytes.value == 13 * 1024**2
    assert found.busy_ratio == Missing(reason=MissingReason.CANNOT_SEE, source="nvml")
    assert found.processes.value[0].gpu_instance_id == 1


async def test_mig_that_waits_for_a_reset_is_told_as_such(machine):
    machine.become(profiles.a100(), **{"0.mig_pending": 1})
    mode = (await machine.device()).mig_mode.value
    assert (mode.is_on, mode.is_on_after_reset) == (False, True)


async def test_unified_memory_has_no_figures_but_its_processes_have(machine):
    machine.become(profiles.gb10())
    found = await machine.device()
    assert found.memory_kind is DeviceMemoryKind.UNIFIED
    assert found.memory.used_bytes == Missing(reason=MissingReason.CANNOT_SEE, source="nvml")
    assert found.processes.value[0].used_bytes == 20 * GIB
    assert isinstance(found.mig_mode, Missing)
    assert isinstance(found.mig_instances, Missing)


async def test_a_workstation_gpu_without_links_says_so(machine):
    machine.become(profiles.rtx_pro_6000())
    found = await machine.device()
    assert isinstance(found.nvlink.active_links, Missing)
    assert isinstance(found.memory_temperature_celsius, Missing)
    assert found.mig_instances.value == ()


async def test_a_process_of_unknown_size_is_not_empty(machine):
    state = {k: v for k, v in profiles.h200().items() if k != "0.process.0.used"}
    machine.become(state)
    (process,) = (await machine.device()).processes.value
    assert (process.pid, process.used_bytes) == (4_242, None)


async def test_a_value_that_stands_for_none_is_none(machine):
    machine.become(profiles.h200(), **{"0.power_milliwatts": 0xFFFFFFFF})
    power = (await machine.device()).power_watts
    assert power == Missing(reason=MissingReason.NOT_A_NUMBER, source="nvml")


@pytest.mark.parametrize(
    ("code", "reason", "problems"),
    [
        pytest.param(1, MissingReason.SOURCE_UNREACHABLE, 1, id="uninitialised"),
        pytest.param(3, MissingReason.CANNOT_SEE, 0, id="not-supported"),
        pytest.param(4, MissingReason.CANNOT_SEE, 1, id="no-permission"),
        pytest.param(10, MissingReason.SOURCE_UNREACHABLE, 1, id="timeout"),
        pytest.param(13, MissingReason.CANNOT_SEE, 0, id="function-not-found"),
        pytest.param(15, MissingReason.SOURCE_UNREACHABLE, 1, id="gpu-is-lost"),
        pytest.param(21, MissingReason.SERIES_ABSENT, 0, id="no-data"),
        pytest.param(999, MissingReason.SOURCE_UNREACHABLE, 1, id="unknown"),
        pytest.param(4711, MissingReason.SOURCE_UNREACHABLE, 1, id="a-code-nobody-knows"),
    ],
)
async def test_an_error_of_one_call_is_one_missing_reading(machine, code, reason, problems):
    machine.become(profiles.h200(), **{"fault.nvmlDeviceGetPowerUsage": code})
    seen = await machine.look()
    (found,) = seen.devices.value
    assert found.power_watts == Missing(reason=reason, source="nvml")
    assert found.temperature_celsius.value == 61
    assert len(seen.problems) == problems


FUNCTIONS = (
    "nvmlDeviceGetUtilizationRates",
    "nvmlDeviceGetMemoryInfo_v2",
    "nvmlDeviceGetComputeRunningProcesses_v3",
    "nvmlDeviceGetPowerUsage",
    "nvmlDeviceGetEnforcedPowerLimit",
    "nvmlDeviceGetTotalEnergyConsumption",
    "nvmlDeviceGetTemperatureV",
    "nvmlDeviceGetClockInfo",
    "nvmlDeviceGetCurrentClocksEventReasons",
    "nvmlDeviceGetTotalEccErrors",
    "nvmlDeviceGetRemappedRows",
    "nvmlDeviceGetFieldValues",
    "nvmlDeviceGetNvLinkState",
    "nvmlDeviceGetMigMode",
    "nvmlDeviceGetMaxMigDeviceCount",
    "nvmlDeviceGetMigDeviceHandleByIndex",
    "nvmlDeviceGetName",
    "nvmlDeviceGetUUID",
    "nvmlDeviceGetPciInfo_v3",
    "nvmlDeviceGetMinorNumber",
    "nvmlDeviceGetHandleByIndex_v2",
    "nvmlDeviceGetCount_v2",
    "nvmlSystemGetDriverVersion",
    "nvmlEventSetCreate",
    "nvmlDeviceRegisterEvents",
    "nvmlEventSetWait_v2",
    "nvmlInitWithFlags",
)


async def test_no_error_of_any_function_is_an_exception_or_a_new_number(machine):
    machine.become(profiles.a100_with_slices())
    healthy = dict(_numbers(await machine.device()))
    for code in (3, 15, 999):
        for function in FUNCTIONS:
            machine.become(profiles.a100_with_slices(), **{f"fault.{function}": code})
            devices = (await machine.look()).devices
            told = dict(_numbers(devices.value[0])) if isinstance(devices, Fresh) else {}
            assert told.items() <= healthy.items(), (function, code)


def _numbers(value, prefix=""):
    for each in dataclasses.fields(value):
        part = getattr(value, each.name)
        if isinstance(part, Fresh) and isinstance(part.value, float | bool):
            yield f"{prefix}{each.name}", part.value
        elif dataclasses.is_dataclass(part) and not isinstance(part, Missing | DeviceIdentity):
            yield from _numbers(part, f"{prefix}{each.name}.")


async def test_xids_are_counted_once_each(machine):
    state = profiles.h200()
    machine.become(state)
    first = (await machine.device()).errors
    assert (first.xid_counts.value, first.last_xid) == ({}, None)
    machine.become(state, **{"event.0": "0 31", "event.1": "0 79", "event.2": "0 31"})
    for _ in range(2):
        errors = (await machine.device()).errors
        assert errors.xid_counts.value == {31: 2, 79: 1}
        assert errors.last_xid == 31


async def test_a_gpu_that_tells_no_events_has_no_count_of_none(machine):
    state = {k: v for k, v in profiles.h200().items() if k != "0.events"}
    machine.become(state)
    counts = (await machine.device()).errors.xid_counts
    assert counts == Missing(reason=MissingReason.CANNOT_SEE, source="nvml")


async def test_a_recovery_action_nobody_knows_is_not_guessed(machine):
    machine.become(profiles.h200(), **{"0.field.230": 99})
    action = (await machine.device()).errors.recovery_action
    assert action == Missing(reason=MissingReason.NOT_A_NUMBER, source="nvml")


async def test_no_library_is_one_clear_problem(tmp_path):
    machine = Machine(tmp_path, library=None)
    with machine.probe:
        seen = await machine.look()
    if isinstance(seen.devices, Fresh):
        pytest.skip("this machine has the real library")
    assert seen.devices == Missing(reason=MissingReason.CANNOT_SEE, source="nvml")
    assert "libnvidia-ml.so.1 is not found" in seen.problems[0].message


async def test_a_driver_and_a_library_of_two_versions_are_named(machine):
    machine.become(profiles.h200(), **{"fault.nvmlInitWithFlags": 18})
    seen = await machine.look()
    assert seen.devices == Missing(reason=MissingReason.SOURCE_UNREACHABLE, source="nvml")
    assert "differ in version" in seen.problems[0].message


async def test_a_hung_driver_costs_one_timeout_and_no_process(library, tmp_path):
    machine = Machine(tmp_path, library=library, timeout_seconds=0.2)
    machine.become(profiles.h200(), **{"hang.nvmlDeviceGetPowerUsage": 30})
    with machine.probe:  # leaving it waits at most 5 s for the process, which hangs for 30
        begin = time.monotonic()
        first = await machine.look()
        second = await machine.look()
        await machine.probe.close()
        assert time.monotonic() - begin < 3
    for seen in (first, second):
        assert seen.devices == Missing(reason=MissingReason.SOURCE_UNREACHABLE, source="nvml")
        assert "hangs" in seen.problems[0].message
    assert "has not come back" in second.problems[0].message


@pytest.mark.gpu
async def test_a_real_gpu_tells_what_it_is(tmp_path):
    machine = Machine(tmp_path, library=None)
    with machine.probe:
        seen = await machine.look()
    if not isinstance(seen.devices, Fresh) or not seen.devices.value:
        said = seen.problems[0].message if seen.problems else "the driver lists no GPU"
        pytest.skip(f"no GPU to look at: {said}")
    for found in seen.devices.value:
        assert found.identity.uuid
        assert found.identity.uuid.startswith("GPU-")
        assert isinstance(found.temperature_celsius, Fresh)
        if found.memory_kind is DeviceMemoryKind.DISCRETE:
            memory = found.memory
            parts = (memory.used_bytes, memory.free_bytes, memory.reserved_bytes)
            told = sum(part.value for part in parts if isinstance(part, Fresh))
            assert told == pytest.approx(memory.total_bytes.value, rel=0.02)
