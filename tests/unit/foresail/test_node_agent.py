"""The node agent's page, on the fake of the accelerators."""

import asyncio
from dataclasses import replace

import pytest

from collector.clock import VirtualClock
from collector.errors import ConfigurationError
from collector.model.device import DeviceMemoryKind, DeviceProcess, MigMode
from collector.model.reading import MissingReason, Stale
from collector.normalise.exposition import parse_exposition
from foresail.node_agent import NodeAgent, listen_address
from support.fake_devices import (
    GIB,
    FakeDeviceProbe,
    blind_survey,
    device,
    device_errors,
    host_memory,
    known,
    mig_slice,
    no_memory,
    survey,
    unknown,
)


def agent_of(probe, *, host=host_memory, clock=None):
    return NodeAgent(
        devices=probe, host_memory=host, node_name="box", clock=clock or VirtualClock(0.0)
    )


async def samples(*devices, seen=None, host=host_memory):
    """{name: [(labels, value)]} of the page."""
    probe = FakeDeviceProbe()
    probe.survey = seen or survey(*devices)
    page = (await agent_of(probe, host=host).look()).page
    read = parse_exposition(page, source="agent", dropped_suffixes=())
    assert read.problems == ()
    return {
        name: [(dict(each.labels), each.value) for each in told]
        for name, told in read.by_name.items()
    }


async def value(name, *devices):
    ((_, only),) = (await samples(*devices))[name]
    return only


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("DCGM_FI_DEV_GPU_UTIL", 37),
        ("DCGM_FI_DEV_MEM_COPY_UTIL", 12),
        ("DCGM_FI_DEV_POWER_USAGE", 312.5),
        ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", 9_876_543_210),
        ("DCGM_FI_DEV_GPU_TEMP", 61),
        ("DCGM_FI_DEV_SM_CLOCK", 1_755),
        ("DCGM_FI_DEV_MEM_CLOCK", 2_619),
        ("DCGM_FI_DEV_FB_TOTAL", 143_771),
        ("DCGM_FI_DEV_FB_USED", 20_480),
        ("DCGM_FI_DEV_FB_RESERVED", 600),
        ("DCGM_FI_DEV_XID_ERRORS", 0),
        ("DCGM_FI_DEV_CLOCK_THROTTLE_REASONS", 0x24),
        ("DCGM_FI_DEV_MIG_MODE", 0),
        ("foresail_device_nvlink_active_links", 18),
        ("foresail_device_process_memory_bytes", 20 * GIB),
        ("node_memory_MemAvailable_bytes", 100e9),
        ("node_pressure_memory_waiting_seconds_total", 1.5),
    ],
)
async def test_each_name_has_the_unit_of_its_owner(name, expected):
    assert await value(name, device()) == expected


async def test_labels_are_those_of_dcgms_exporter():
    ((labels, _),) = (await samples(device()))["DCGM_FI_DEV_GPU_TEMP"]
    assert labels == {
        "gpu": "0",
        "UUID": "GPU-11111111-2222-3333-4444-555555555555",
        "pci_bus_id": "00000000:19:00.0",
        "device": "nvidia0",
        "modelName": "NVIDIA H200",
        "hostname": "box",
        "DCGM_FI_DRIVER_VERSION": "580.95.05",
    }


async def test_what_is_missing_has_no_sample():
    told = await samples(device(power_watts=unknown(), memory=no_memory()))
    assert "DCGM_FI_DEV_POWER_USAGE" not in told
    assert "DCGM_FI_DEV_FB_USED" not in told
    assert "DCGM_FI_DEV_GPU_TEMP" in told


async def test_what_is_stale_has_no_sample():
    old = Stale(value=1.0, observed_timestamp_seconds=0.0, source="nvml")
    assert "DCGM_FI_DEV_POWER_USAGE" not in await samples(device(power_watts=old))


@pytest.mark.parametrize("reason", [MissingReason.CANNOT_SEE, MissingReason.SOURCE_UNREACHABLE])
async def test_a_blind_agent_says_so_and_counts_no_devices(reason):
    told = await samples(seen=blind_survey(reason))
    assert told["foresail_node_device_library_up"] == [({}, 0.0)]
    assert told["foresail_node_problems"] == [({}, 1.0)]
    assert "foresail_node_devices" not in told
    assert not [name for name in told if name.startswith("DCGM_")]
    assert "node_memory_MemAvailable_bytes" in told


async def test_a_box_without_devices_has_zero_of_them():
    assert (await samples())["foresail_node_devices"] == [({}, 0.0)]


async def test_memory_of_slices_is_told_in_place_of_their_gpus():
    told = await samples(
        device(
            mig_mode=known(MigMode(is_on=True, is_on_after_reset=True)),
            mig_instances=known(
                (
                    mig_slice(gpu_instance_id=1, profile="3g.20gb", total=20 * GIB, used=4 * GIB),
                    mig_slice(gpu_instance_id=7, profile="1g.5gb", total=5 * GIB, used=1 * GIB),
                )
            ),
        )
    )
    used = {
        (labels["GPU_I_ID"], labels["GPU_I_PROFILE"]): mib
        for labels, mib in told["DCGM_FI_DEV_FB_USED"]
    }
    assert used == {("1", "3g.20gb"): 4096, ("7", "1g.5gb"): 1024}
    ((labels, _),) = told["DCGM_FI_DEV_POWER_USAGE"]
    assert "GPU_I_ID" not in labels


async def test_slices_that_cannot_be_read_are_not_replaced_by_their_gpu():
    mode = known(MigMode(is_on=True, is_on_after_reset=True))
    told = await samples(device(mig_mode=mode, mig_instances=unknown()))
    assert "DCGM_FI_DEV_FB_USED" not in told


async def test_unified_memory_is_the_hosts_and_the_processes():
    told = await samples(device(memory=no_memory(), memory_kind=DeviceMemoryKind.UNIFIED))
    assert "DCGM_FI_DEV_FB_FREE" not in told
    assert told["foresail_device_process_memory_bytes"][0][1] == 20 * GIB
    assert told["node_memory_MemTotal_bytes"] == [({}, 128e9)]


async def test_one_process_of_unknown_size_makes_the_sum_unknown():
    processes = known(
        (
            DeviceProcess(pid=1, used_bytes=GIB, gpu_instance_id=None),
            DeviceProcess(pid=2, used_bytes=None, gpu_instance_id=None),
        )
    )
    told = await samples(device(processes=processes))
    assert "foresail_device_process_memory_bytes" not in told
    assert told["foresail_device_processes"][0][1] == 2


async def test_xids_are_told_by_number_and_the_last_under_dcgms_name():
    told = await samples(device(errors=device_errors(xids={31: 2, 79: 1}, last_xid=79)))
    assert told["DCGM_FI_DEV_XID_ERRORS"][0][1] == 79
    counts = {labels["xid"]: count for labels, count in told["foresail_device_xid_errors_total"]}
    assert counts == {"31": 2, "79": 1}


async def test_the_recovery_action_is_one_of_all():
    told = (await samples(device()))["foresail_device_recovery_action"]
    assert {labels["action"]: held for labels, held in told if held} == {"none": 1}
    assert len(told) == 8


async def test_a_hostile_name_stays_inside_its_label():
    identity = replace(device().identity, model_name='a"b\\c\nd')
    ((labels, _),) = (await samples(device(identity=identity)))["DCGM_FI_DEV_GPU_TEMP"]
    assert labels["modelName"] == 'a"b\\c\nd'


async def test_the_hosts_memory_is_left_out_when_asked():
    probe = FakeDeviceProbe()
    page = (await agent_of(probe, host=None).look()).page
    assert "node_memory" not in page
    assert "node_pressure" not in page
    assert "DCGM_FI_DEV_GPU_TEMP" in page


async def test_many_scrapers_cost_one_look_per_second():
    probe, clock = FakeDeviceProbe(), VirtualClock(0.0)
    agent = agent_of(probe, clock=clock)
    await asyncio.gather(*(agent.look() for _ in range(5)))
    assert probe.read_count == 1
    await clock.advance(1.0)
    await agent.look()
    assert probe.read_count == 2


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9400", "127.0.0.1", 9400),
        ("localhost:0", "localhost", 0),
        ("[::1]:9400", "::1", 9400),
    ],
)
def test_loopback_addresses_are_taken(text, host, port):
    address = listen_address(text, allow_insecure=False)
    assert (address.host, address.port) == (host, port)
    assert str(address) == text


@pytest.mark.parametrize("text", ["0.0.0.0:9400", "[::]:9400", "10.0.0.1:9400", "box.lan:9400"])
def test_other_addresses_need_the_flag(text):
    with pytest.raises(ConfigurationError, match="--allow-insecure-listen"):
        listen_address(text, allow_insecure=False)
    assert listen_address(text, allow_insecure=True).port == 9400


@pytest.mark.parametrize(
    "text", ["", "9400", ":9400", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "::1:9400", "a:65536"]
)
def test_what_is_no_address_is_refused_with_an_example(text):
    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1:9400"):
        listen_address(text, allow_insecure=True)
