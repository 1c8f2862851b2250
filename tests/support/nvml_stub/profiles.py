"""Machines as state files for the C stub: what each GPU tells, and by silence what it cannot.

Names, memory sizes and what is supported follow the products; loads and totals are made up.
"""

from collections.abc import Mapping

State = Mapping[str, object]
GIB = 1 << 30

_COMMON: State = {
    "minor": 0,
    "busy_percent": 37,
    "memory_busy_percent": 12,
    "power_milliwatts": 312_500,
    "power_limit_milliwatts": 700_000,
    "energy_millijoules": 9_876_543_210,
    "temperature": 61,
    "sm_megahertz": 1_755,
    "memory_megahertz": 2_619,
    "clock_reasons": 0x4 | 0x20,
    "processes": 1,
    "process.0.pid": 4_242,
    "process.0.used": 20 * GIB,
    "events": 1,
    "field.230": 0,
}
_SERVER: State = {
    "ecc.0.0": 3,
    "ecc.1.0": 0,
    "ecc.0.1": 17,
    "ecc.1.1": 1,
    "remapped_rows": "2 1 0 0",
    "nvlinks": 18,
    "field.38": 5,
    "field.45": 0,
    "field.52": 1,
    "field.59": 0,
    "field.82": 58,
    "mig_mode": 0,
    "mig_max": 7,
}


def _machine(device: State) -> dict[str, object]:
    return {"driver": "580.95.05", "count": 1, **{f"0.{key}": device[key] for key in device}}


def h200() -> dict[str, object]:
    """One H200, MIG off."""
    return _machine(
        {
            **_COMMON,
            **_SERVER,
            "name": "NVIDIA H200",
            "uuid": "GPU-11111111-2222-3333-4444-555555555555",
            "pci": "00000000:19:00.0",
            "memory_total": 143_771 << 20,
            "memory_used": 20 * GIB,
            "memory_reserved": 600 << 20,
        }
    )


def a100() -> dict[str, object]:
    """One A100 40 GB, MIG off."""
    return _machine(
        {
            **_COMMON,
            **_SERVER,
            "name": "NVIDIA A100-SXM4-40GB",
            "uuid": "GPU-aaaaaaaa-0000-0000-0000-000000000001",
            "pci": "00000000:07:00.0",
            "nvlinks": 12,
            "memory_total": 40_960 << 20,
            "memory_used": 10 * GIB,
            "memory_reserved": 500 << 20,
        }
    )


def a100_with_slices() -> dict[str, object]:
    """The same A100 cut into 3g.20gb and 1g.5gb; a GPU with MIG on tells no utilisation."""
    state = a100()
    for silent in ("0.busy_percent", "0.memory_busy_percent"):
        del state[silent]
    slices = ((1, "3g.20gb", 20_096, 4_000), (7, "1g.5gb", 4_864, 13))
    for index, (instance, profile, total, used) in enumerate(slices):
        state |= {
            f"0.mig.{index}.uuid": f"MIG-00000000-0000-0000-0000-00000000000{index}",
            f"0.mig.{index}.name": f"NVIDIA A100-SXM4-40GB MIG {profile}",
            f"0.mig.{index}.gpu_instance_id": instance,
            f"0.mig.{index}.compute_instance_id": 0,
            f"0.mig.{index}.memory_total": total << 20,
            f"0.mig.{index}.memory_used": used << 20,
        }
    return state | {"0.mig_mode": 1, "0.process.0.gpu_instance": 1}


def rtx_pro_6000() -> dict[str, object]:
    """One RTX PRO 6000 of a workstation: MIG-capable, no NVLink, no memory temperature."""
    device = {
        **_COMMON,
        **{key: _SERVER[key] for key in _SERVER if not key.startswith(("nvlinks", "field."))},
        "mig_max": 4,
        "name": "NVIDIA RTX PRO 6000 Blackwell Workstation Edition",
        "uuid": "GPU-66666666-0000-0000-0000-000000000006",
        "pci": "00000000:01:00.0",
        "memory_total": 97_887 << 20,
        "memory_used": 8 * GIB,
        "memory_reserved": 700 << 20,
    }
    return _machine(device)


def gb10() -> dict[str, object]:
    """A DGX Spark: unified memory, so no figures of it; no MIG, no ECC, no NVLink, no power limit."""
    device = {key: value for key, value in _COMMON.items() if key != "power_limit_milliwatts"}
    device |= {
        "name": "NVIDIA GB10",
        "uuid": "GPU-10101010-0000-0000-0000-000000000010",
        "pci": "0000000F:01:00.0",
        "power_milliwatts": 11_000,
    }
    return _machine(device)
