"""What every `DeviceProbe` must do: the real one on the stub of the library, and the fake of the tests."""

import dataclasses

import pytest

from collector.model.device import Device, DeviceIdentity, DeviceMemoryKind
from collector.model.reading import Fresh, Missing, MissingReason
from support.fake_devices import FakeDeviceProbe, blind_survey, device, survey, unknown
from support.nvml_stub import profiles
from support.nvml_stub.library import AskedProbe, build_stub, stub_environment, write_state


class FakeWorld:
    def __init__(self):
        self.probe = FakeDeviceProbe()

    def lose_device(self):
        self.probe.lose_device()

    def forget_power(self):
        self.probe.survey = survey(device(power_watts=unknown()))

    def unload_driver(self):
        self.probe.survey = blind_survey(MissingReason.SOURCE_UNREACHABLE)

    def heal(self):
        self.probe.survey = survey(device())


class StubWorld:
    def __init__(self, probe, state_path):
        self.probe = probe
        self._path = state_path
        self.heal()

    def lose_device(self):
        write_state(self._path, {**profiles.h200(), "fault.*": 15})

    def forget_power(self):
        write_state(self._path, {**profiles.h200(), "fault.nvmlDeviceGetPowerUsage": 3})

    def unload_driver(self):
        write_state(
            self._path,
            {"fault.nvmlInitWithFlags": 9, "fault.nvmlDeviceGetCount_v2": 9},
        )

    def heal(self):
        write_state(self._path, profiles.h200())


@pytest.fixture(params=["stub", "fake"])
def world(request, tmp_path):
    if request.param == "fake":
        yield FakeWorld()
        return
    state = tmp_path / "state"
    with AskedProbe(stub_environment(build_stub(tmp_path / "library"), state=state)) as probe:
        yield StubWorld(probe, state)


def readings(value):
    """Every reading of a device, at any depth."""
    for each in dataclasses.fields(value):
        part = getattr(value, each.name)
        if isinstance(part, Fresh | Missing):
            yield each.name, part
        elif dataclasses.is_dataclass(part) and not isinstance(part, DeviceIdentity):
            yield from readings(part)


async def only_device(probe) -> Device:
    devices = (await probe.read_devices()).devices
    assert isinstance(devices, Fresh)
    (found,) = devices.value
    return found


async def test_a_healthy_gpu_tells_everything(world):
    found = await only_device(world.probe)
    assert found.identity.model_name == "NVIDIA H200"
    assert found.memory_kind is DeviceMemoryKind.DISCRETE
    assert [name for name, reading in readings(found) if isinstance(reading, Missing)] == []
    assert found.power_watts.value == 312.5
    assert found.busy_ratio.value == pytest.approx(0.37)
    assert found.memory.used_bytes.value == 21_474_836_480
    assert found.energy_joules_total.value == pytest.approx(9_876_543.21)
    assert found.sm_clock_hertz.value == 1_755_000_000


async def test_what_a_gpu_does_not_support_is_missing_and_no_problem(world):
    world.forget_power()
    seen = await world.probe.read_devices()
    (found,) = seen.devices.value
    assert found.power_watts == Missing(reason=MissingReason.CANNOT_SEE, source="nvml")
    assert found.temperature_celsius.value == 61.0
    assert seen.problems == ()


async def test_a_lost_gpu_stays_listed_and_tells_nothing(world):
    known_before = (await only_device(world.probe)).identity
    world.lose_device()
    seen = await world.probe.read_devices()
    (found,) = seen.devices.value
    assert found.identity == known_before
    assert found.memory_kind is None
    gone = Missing(reason=MissingReason.SOURCE_UNREACHABLE, source="nvml")
    # What was counted while it was there stays known: its last XID says why it went.
    assert {reading for name, reading in readings(found) if name != "xid_counts"} == {gone}
    assert any(known_before.uuid in each.message for each in seen.problems)


async def test_without_a_driver_the_devices_are_missing_not_none(world):
    world.unload_driver()
    seen = await world.probe.read_devices()
    assert isinstance(seen.devices, Missing)
    assert [problem.source for problem in seen.problems] == ["nvml"]
    assert "\n" not in seen.problems[0].message


async def test_what_comes_back_is_seen_again(world):
    for hurt in (world.lose_device, world.unload_driver):
        hurt()
        await world.probe.read_devices()
        world.heal()
        assert (await only_device(world.probe)).power_watts.value == 312.5


async def test_it_can_be_closed_twice_and_read_again(world):
    await world.probe.read_devices()
    await world.probe.close()
    await world.probe.close()
    assert (await only_device(world.probe)).identity.index == 0
