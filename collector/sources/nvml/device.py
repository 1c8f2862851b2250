"""Asks one GPU everything.

In: its handle, or None when it could not be opened, and who notes the answers. Out: a `Device` in
which each fact stands for itself: one call that fails takes no other fact with it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import pynvml  # type: ignore[import-untyped]  # ships no types; all of it is Any

from collector.model.device import (
    ClockReason,
    Device,
    DeviceErrors,
    DeviceIdentity,
    DeviceMemory,
    DeviceMemoryKind,
    DeviceProcess,
    MigInstance,
    MigMode,
    NvLink,
    RecoveryAction,
)
from collector.model.reading import Missing, MissingReason, Number, Reading
from collector.sources.nvml.answers import SOURCE, Answers, XidTally

_NO_INSTANCE: Final = 0xFFFFFFFF
_MIB: Final = 1 << 20
_ALL_LINKS: Final = 0  # scope of the fields that count all lanes together

_CLOCK_REASONS: Final = {
    pynvml.nvmlClocksEventReasonGpuIdle: ClockReason.IDLE,
    pynvml.nvmlClocksEventReasonApplicationsClocksSetting: ClockReason.APPLICATION_SETTING,
    pynvml.nvmlClocksEventReasonSwPowerCap: ClockReason.SOFTWARE_POWER_CAP,
    pynvml.nvmlClocksEventReasonHwSlowdown: ClockReason.HARDWARE_SLOWDOWN,
    pynvml.nvmlClocksEventReasonSyncBoost: ClockReason.SYNC_BOOST,
    pynvml.nvmlClocksEventReasonSwThermalSlowdown: ClockReason.SOFTWARE_THERMAL,
    pynvml.nvmlClocksEventReasonHwThermalSlowdown: ClockReason.HARDWARE_THERMAL,
    pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown: ClockReason.HARDWARE_POWER_BRAKE,
    pynvml.nvmlClocksEventReasonDisplayClockSetting: ClockReason.DISPLAY_SETTING,
}

_NUMBERS: Final[Mapping[str, tuple[Callable[[Any], float], float]]] = {
    "power_watts": (pynvml.nvmlDeviceGetPowerUsage, 1e-3),
    "power_limit_watts": (pynvml.nvmlDeviceGetEnforcedPowerLimit, 1e-3),
    "energy_joules_total": (pynvml.nvmlDeviceGetTotalEnergyConsumption, 1e-3),
    "temperature_celsius": (lambda handle: _temperature(handle), 1.0),  # noqa: PLW0108
    "sm_clock_hertz": (lambda h: pynvml.nvmlDeviceGetClockInfo(h, pynvml.NVML_CLOCK_SM), 1e6),
    "memory_clock_hertz": (lambda h: pynvml.nvmlDeviceGetClockInfo(h, pynvml.NVML_CLOCK_MEM), 1e6),
}
"""{field of Device: (call, factor to the base unit)}"""

_ECC: Final[Mapping[str, tuple[int, int]]] = {
    "ecc_corrected_since_boot": (
        pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED,
        pynvml.NVML_VOLATILE_ECC,
    ),
    "ecc_uncorrected_since_boot": (
        pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
        pynvml.NVML_VOLATILE_ECC,
    ),
    "ecc_corrected_lifetime": (
        pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED,
        pynvml.NVML_AGGREGATE_ECC,
    ),
    "ecc_uncorrected_lifetime": (
        pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
        pynvml.NVML_AGGREGATE_ECC,
    ),
}

_NVLINK_FIELDS: Final = {
    "crc_flit_errors_total": pynvml.NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL,
    "crc_data_errors_total": pynvml.NVML_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL,
    "replay_errors_total": pynvml.NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL,
    "recovery_errors_total": pynvml.NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL,
}

_RECOVERY_ACTIONS: Final = {
    pynvml.NVML_GPU_RECOVERY_ACTION_NONE: RecoveryAction.NONE,
    pynvml.NVML_GPU_RECOVERY_ACTION_GPU_RESET: RecoveryAction.GPU_RESET,
    pynvml.NVML_GPU_RECOVERY_ACTION_NODE_REBOOT: RecoveryAction.NODE_REBOOT,
    pynvml.NVML_GPU_RECOVERY_ACTION_DRAIN_P2P: RecoveryAction.DRAIN_P2P,
    pynvml.NVML_GPU_RECOVERY_ACTION_DRAIN_AND_RESET: RecoveryAction.DRAIN_AND_RESET,
    pynvml.NVML_GPU_RECOVERY_ACTION_RECOVER_IMEX_DOMAIN: RecoveryAction.RECOVER_IMEX_DOMAIN,
    pynvml.NVML_GPU_RECOVERY_ACTION_BUS_RESET: RecoveryAction.BUS_RESET,
    pynvml.NVML_GPU_RECOVERY_ACTION_SYSTEM_REBOOT: RecoveryAction.SYSTEM_REBOOT,
}

_VALUE_FIELDS: Final = ("dVal", "uiVal", "ulVal", "ullVal", "sllVal", "siVal", "usVal")
"""Of the union, in the order of NVML_VALUE_TYPE_*."""


def read_device(
    handle: Any,  # noqa: ANN401  the library has no types
    *,
    identity: DeviceIdentity,
    answers: Answers,
    xids: Reading[XidTally],
) -> Device:
    """All facts of one GPU. Raises nothing for what the GPU does."""
    reader = _Reader(handle, answers=answers)
    memory, kind = reader.memory_and_kind()
    utilisation = reader.ask("utilisation", pynvml.nvmlDeviceGetUtilizationRates)
    mode = reader.mig_mode()
    return Device(
        identity=identity,
        memory_kind=kind,
        memory=memory,
        processes=reader.processes(),
        busy_ratio=reader.part(utilisation, "gpu", factor=0.01),
        memory_busy_ratio=reader.part(utilisation, "memory", factor=0.01),
        **{
            field: reader.number(field, call, factor=factor)
            for field, (call, factor) in _NUMBERS.items()
        },
        memory_temperature_celsius=reader.field(
            "memory_temperature", pynvml.NVML_FI_DEV_MEMORY_TEMP
        ),
        clock_reasons=reader.clock_reasons(),
        errors=reader.errors(xids),
        nvlink=reader.nvlink(),
        mig_mode=mode,
        mig_instances=reader.mig_instances(mode),
    )


class _Reader:
    """One handle and who notes its answers."""

    def __init__(self, handle: Any, *, answers: Answers) -> None:  # noqa: ANN401
        self._handle = handle
        self._answers = answers

    def ask(self, what: str, call: Callable[[Any], Any]) -> Reading[Any]:
        """The call's result for this handle."""
        if self._handle is None:
            return Missing(reason=MissingReason.SOURCE_UNREACHABLE, source=SOURCE)
        return self._answers.ask(what, lambda: call(self._handle))

    def number(self, what: str, call: Callable[[Any], float], *, factor: float = 1.0) -> Number:
        """The call's result in base units."""
        return self.part(self.ask(what, call), None, factor=factor)

    def part(self, answer: Reading[Any], name: str | None, *, factor: float = 1.0) -> Number:
        """One member of an answer, or the answer itself."""
        if isinstance(answer, Missing):
            return answer
        raw = answer.value if name is None else getattr(answer.value, name, None)
        return self._answers.plain_number(raw, factor=factor)

    def field(self, what: str, field_id: int) -> Number:
        """One field value, which carries an error code of its own."""
        answer = self.ask(
            what, lambda handle: pynvml.nvmlDeviceGetFieldValues(handle, [(field_id, _ALL_LINKS)])
        )
        if isinstance(answer, Missing):
            return answer
        told = answer.value[0]
        if told.nvmlReturn != pynvml.NVML_SUCCESS:
            return self._answers.failed(what, code=told.nvmlReturn)
        if not 0 <= told.valueType < len(_VALUE_FIELDS):
            return Missing(reason=MissingReason.NOT_A_NUMBER, source=SOURCE)
        return self._answers.plain_number(getattr(told.value, _VALUE_FIELDS[told.valueType]))

    def memory_and_kind(self) -> tuple[DeviceMemory, DeviceMemoryKind | None]:
        """Figures of the memory, and whose it is as far as they tell."""
        info = self.ask("memory", _memory_info)
        if isinstance(info, Missing):
            is_unified = self._answers.codes.get("memory") == pynvml.NVML_ERROR_NOT_SUPPORTED
            return _same_missing(info), DeviceMemoryKind.UNIFIED if is_unified else None
        if (
            info.value.total == 0
        ):  # a figure of some library versions for memory that is not its own
            nothing = Missing(reason=MissingReason.NOT_A_NUMBER, source=SOURCE)
            return _same_missing(nothing), None
        memory = DeviceMemory(
            total_bytes=self.part(info, "total"),
            used_bytes=self.part(info, "used"),
            free_bytes=self.part(info, "free"),
            reserved_bytes=self.part(info, "reserved"),
        )
        return memory, DeviceMemoryKind.DISCRETE

    def processes(self) -> Reading[tuple[DeviceProcess, ...]]:
        """Who computes there."""
        told = self.ask("processes", pynvml.nvmlDeviceGetComputeRunningProcesses)
        if isinstance(told, Missing):
            return told
        return self._answers.fresh(tuple(map(_process, told.value)))

    def clock_reasons(self) -> Reading[frozenset[ClockReason]]:
        """Why the clocks are not higher; bits that are not known are left out."""
        told = self.ask("clock reasons", _clock_reason_bits)
        if isinstance(told, Missing):
            return told
        held = (reason for bit, reason in _CLOCK_REASONS.items() if told.value & bit)
        return self._answers.fresh(frozenset(held))

    def errors(self, xids: Reading[XidTally]) -> DeviceErrors:
        """Running totals of what went wrong."""
        rows = self.ask("remapped rows", pynvml.nvmlDeviceGetRemappedRows)
        tally = None if isinstance(xids, Missing) else xids.value
        return DeviceErrors(
            **{field: self._ecc(field, *what) for field, what in _ECC.items()},
            remapped_rows_correctable=self._row(rows, 0),
            remapped_rows_uncorrectable=self._row(rows, 1),
            remap_is_pending=self._flag(rows, 2),
            remap_has_failed=self._flag(rows, 3),
            xid_counts=xids
            if isinstance(xids, Missing)
            else self._answers.fresh(xids.value.counts),
            last_xid=tally.last if tally else None,
            recovery_action=self._recovery_action(),
        )

    def nvlink(self) -> NvLink:
        """Links and their errors."""
        counts = {field: self.field(field, number) for field, number in _NVLINK_FIELDS.items()}
        return NvLink(active_links=self.number("nvlinks", _active_links), **counts)

    def mig_mode(self) -> Reading[MigMode]:
        """Now, and after the next reset."""
        told = self.ask("MIG mode", pynvml.nvmlDeviceGetMigMode)
        if isinstance(told, Missing):
            return told
        now, pending = (each == pynvml.NVML_DEVICE_MIG_ENABLE for each in told.value)
        return self._answers.fresh(MigMode(is_on=now, is_on_after_reset=pending))

    def mig_instances(self, mode: Reading[MigMode]) -> Reading[tuple[MigInstance, ...]]:
        """The slices, in the library's order; Missing where it is not known whether there are any."""
        if isinstance(mode, Missing):
            return mode
        if not mode.value.is_on:
            return self._answers.fresh(())
        handles = self.ask("MIG instances", _mig_handles)
        if isinstance(handles, Missing):
            return handles
        slices = (_Reader(each, answers=self._answers)._slice() for each in handles.value)
        return self._answers.fresh(tuple(slices))

    def _slice(self) -> MigInstance:
        name = self._known("MIG name", pynvml.nvmlDeviceGetName)
        return MigInstance(
            uuid=self._known("MIG UUID", pynvml.nvmlDeviceGetUUID),
            gpu_instance_id=self._known("GPU instance id", pynvml.nvmlDeviceGetGpuInstanceId),
            compute_instance_id=self._known(
                "compute instance id", pynvml.nvmlDeviceGetComputeInstanceId
            ),
            profile=name.rpartition("MIG ")[2] if name and "MIG " in name else None,
            memory=self.memory_and_kind()[0],
        )

    def _known(self, what: str, call: Callable[[Any], Any]) -> Any:  # noqa: ANN401
        told = self.ask(what, call)
        return None if isinstance(told, Missing) else told.value

    def _ecc(self, what: str, error_type: int, counter_type: int) -> Number:
        return self.number(
            what,
            lambda handle: pynvml.nvmlDeviceGetTotalEccErrors(handle, error_type, counter_type),
        )

    def _row(self, rows: Reading[Any], position: int) -> Number:
        if isinstance(rows, Missing):
            return rows
        return self._answers.plain_number(rows.value[position])

    def _flag(self, rows: Reading[Any], position: int) -> Reading[bool]:
        return rows if isinstance(rows, Missing) else self._answers.fresh(rows.value[position] != 0)

    def _recovery_action(self) -> Reading[RecoveryAction]:
        told = self.field("recovery action", pynvml.NVML_FI_DEV_GET_GPU_RECOVERY_ACTION)
        if isinstance(told, Missing):
            return told
        action = _RECOVERY_ACTIONS.get(int(told.value))
        if action is None:  # a newer library: better nothing than the wrong thing to do
            return Missing(reason=MissingReason.NOT_A_NUMBER, source=SOURCE)
        return self._answers.fresh(action)


def _same_missing(missing: Missing) -> DeviceMemory:
    return DeviceMemory(
        total_bytes=missing, used_bytes=missing, free_bytes=missing, reserved_bytes=missing
    )


def _memory_info(handle: Any) -> Any:  # noqa: ANN401
    """The newer figures, where reserved memory is told apart; else the older ones."""
    try:
        return pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
    except pynvml.NVMLError as error:
        if error.value not in (
            pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
            pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
        ):
            raise
        return pynvml.nvmlDeviceGetMemoryInfo(handle)


def _temperature(handle: Any) -> int:  # noqa: ANN401
    try:
        return int(pynvml.nvmlDeviceGetTemperatureV(handle, pynvml.NVML_TEMPERATURE_GPU))
    except pynvml.NVMLError as error:
        if error.value != pynvml.NVML_ERROR_FUNCTION_NOT_FOUND:
            raise
        return int(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))


def _clock_reason_bits(handle: Any) -> int:  # noqa: ANN401
    try:
        return int(pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
    except pynvml.NVMLError as error:
        if error.value != pynvml.NVML_ERROR_FUNCTION_NOT_FOUND:
            raise
        return int(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))


def _active_links(handle: Any) -> int:  # noqa: ANN401
    """How many links are up. Raises NotSupported on a GPU without any."""
    active = 0
    for link in range(pynvml.NVML_NVLINK_MAX_LINKS):
        try:
            active += pynvml.nvmlDeviceGetNvLinkState(handle, link) == pynvml.NVML_FEATURE_ENABLED
        except pynvml.NVMLError as error:
            past_the_end = (pynvml.NVML_ERROR_INVALID_ARGUMENT, pynvml.NVML_ERROR_NOT_SUPPORTED)
            if link == 0 or error.value not in past_the_end:
                raise
            break
    return active


def _mig_handles(handle: Any) -> list[Any]:  # noqa: ANN401
    found = []
    for index in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            found.append(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index))
        except pynvml.NVMLError as error:
            if error.value != pynvml.NVML_ERROR_NOT_FOUND:
                raise
    return found


def _process(told: Any) -> DeviceProcess:  # noqa: ANN401
    instance = told.gpuInstanceId
    return DeviceProcess(
        pid=told.pid,
        used_bytes=told.usedGpuMemory,
        gpu_instance_id=None if instance in (None, _NO_INSTANCE) else instance,
    )
