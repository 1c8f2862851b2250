"""The `DeviceProbe` itself: opens the library, watches XIDs, looks at every GPU, survives all of it.

Out: a `DeviceSurvey`. No driver, a driver that hangs, a lost GPU and a call the GPU does not support
are readings with a reason, never zeros and never exceptions. All calls run in one worker thread.
Reads only: nothing here may change a setting of a GPU.
"""

import asyncio
import ctypes
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pynvml  # type: ignore[import-untyped]  # ships no types; all of it is Any

from collector.clock import Clock
from collector.errors import TransientSourceError
from collector.model.device import Device, DeviceIdentity, DeviceSurvey
from collector.model.reading import Fresh, Missing, MissingReason, Reading
from collector.model.snapshot import Problem
from collector.sources.nvml.answers import REASONS, SOURCE, Answers, XidTally
from collector.sources.nvml.device import read_device
from collector.sources.single_worker import SingleWorker

READ_TIMEOUT_SECONDS: Final = 3.0
"""A healthy driver answers all calls for eight GPUs in well under a second; a hung one never does."""
_MAX_EVENTS_PER_READ: Final = 1000
_WATCHED_EVENTS: Final = pynvml.nvmlEventTypeXidCriticalError

_NOBODY_THERE: Final = {
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: (
        "no NVIDIA driver here: libnvidia-ml.so.1 is not found; install the driver, or in a container "
        "ask the runtime for it (NVIDIA_DRIVER_CAPABILITIES=utility)"
    ),
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED: (
        "the NVIDIA driver is not loaded; load its kernel module or look into the kernel's log"
    ),
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: (
        "library and kernel module of the NVIDIA driver differ in version; reload the module or reboot"
    ),
}
_OPEN_ANEW: Final = frozenset(
    {
        pynvml.NVML_ERROR_UNINITIALIZED,
        pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
        pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
        pynvml.NVML_ERROR_GPU_IS_LOST,
        pynvml.NVML_ERROR_RESET_REQUIRED,
    }
)
"""After these the library must be opened again before it can see what has come back."""


class NvmlDeviceProbe:
    """Opens the library at the first read and keeps it open; call `close` before MIG modes change."""

    def __init__(self, *, clock: Clock, timeout_seconds: float = READ_TIMEOUT_SECONDS) -> None:
        self._session = _Session(clock=clock)
        self._worker = SingleWorker(name="nvml")
        self._timeout_seconds = timeout_seconds
        self._one_at_a_time = asyncio.Lock()

    async def read_devices(self) -> DeviceSurvey:
        """All GPUs now, or within the timeout the news that nothing can be told."""
        async with self._one_at_a_time:
            try:
                return await self._worker.run(
                    self._session.survey, timeout_seconds=self._timeout_seconds
                )
            except TransientSourceError as error:
                message = f"the NVIDIA driver hangs: {error}; look into the kernel's log"
                return _blind(MissingReason.SOURCE_UNREACHABLE, message)

    async def close(self) -> None:
        """Lets go of the library; returns at the timeout when the driver hangs."""
        async with self._one_at_a_time:
            if not self._worker.is_busy:
                try:
                    await self._worker.run(
                        self._session.close, timeout_seconds=self._timeout_seconds
                    )
                except TransientSourceError:
                    return  # it hangs; the thread does not keep the process alive
            self._worker.stop()


@dataclass(slots=True)
class _Watch:
    """XID events of this session."""

    event_set: Any
    keys: dict[int, str]  # {address of the handle: key of the tally}
    unwatched: dict[str, int]  # {key: error code of the registration}


class _Session:
    """The open library. Used in the worker thread only."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock
        self._is_open = False
        self._watch: _Watch | None = None
        self._known: dict[int, DeviceIdentity] = {}
        self._tallies: dict[str, XidTally] = {}

    def survey(self) -> DeviceSurvey:
        """One look at everything."""
        try:
            count = self._open()
        except pynvml.NVMLError as error:
            self.close()
            return _blind(_blindness(error), _NOBODY_THERE.get(error.value, _cannot_ask(error)))
        problems: list[Problem] = []
        host = Answers(now_timestamp_seconds=self._clock.timestamp_seconds(), name="driver")
        driver = host.ask("driver version", pynvml.nvmlSystemGetDriverVersion)
        handles = dict(self._handles(count, problems))
        self._start_watch(handles)
        problems += self._drain_events()
        devices, codes = [], set(host.codes.values())
        for index in range(count):
            answers = self._answers(index)
            devices.append(self._device(index, handle=handles.get(index), answers=answers))
            problems += answers.problems()
            codes |= set(answers.codes.values())
        problems += host.problems()
        if codes & _OPEN_ANEW:
            self.close()
        return DeviceSurvey(
            devices=self._fresh(tuple(devices)), driver_version=driver, problems=tuple(problems)
        )

    def close(self) -> None:
        """Frees events and library; what they still say is of no use."""
        watch, self._watch = self._watch, None
        was_open, self._is_open = self._is_open, False
        for release in (
            (lambda: pynvml.nvmlEventSetFree(watch.event_set)) if watch else None,
            pynvml.nvmlShutdown if was_open else None,
        ):
            try:
                if release is not None:
                    release()
            except pynvml.NVMLError:
                continue  # a library that is gone has nothing to free

    def _open(self) -> int:
        """How many GPUs there are."""
        if not self._is_open:
            pynvml.nvmlInit()
            self._is_open = True
        return int(pynvml.nvmlDeviceGetCount())

    def _handles(self, count: int, problems: list[Problem]) -> Iterator[tuple[int, Any]]:
        for index in range(count):
            try:
                yield index, pynvml.nvmlDeviceGetHandleByIndex(index)
            except pynvml.NVMLError as error:
                name = self._name(index)
                problems.append(Problem(source=SOURCE, message=f"{name} cannot be opened: {error}"))

    def _device(self, index: int, *, handle: Any, answers: Answers) -> Device:  # noqa: ANN401
        identity = self._identity(index, handle=handle)
        device = read_device(
            handle, identity=identity, answers=answers, xids=self._xids(_key(identity))
        )
        self._known[index] = identity
        return device

    def _identity(self, index: int, *, handle: Any) -> DeviceIdentity:  # noqa: ANN401
        """Who it is; what it does not tell now, as it told before."""
        old = self._known.get(index) or DeviceIdentity(
            index=index, uuid=None, model_name=None, pci_bus_id=None, minor_number=None
        )
        uuid = _told(pynvml.nvmlDeviceGetUUID, handle)
        if uuid is not None and uuid != old.uuid:
            old = DeviceIdentity(
                index=index, uuid=uuid, model_name=None, pci_bus_id=None, minor_number=None
            )
        pci = _told(pynvml.nvmlDeviceGetPciInfo, handle)
        minor = _told(pynvml.nvmlDeviceGetMinorNumber, handle)
        return DeviceIdentity(
            index=index,
            uuid=uuid or old.uuid,
            model_name=_told(pynvml.nvmlDeviceGetName, handle) or old.model_name,
            pci_bus_id=_text(pci.busId) if pci else old.pci_bus_id,
            minor_number=minor if minor is not None else old.minor_number,
        )

    def _answers(self, index: int) -> Answers:
        now = self._clock.timestamp_seconds()
        return Answers(now_timestamp_seconds=now, name=self._name(index))

    def _name(self, index: int) -> str:
        known = self._known.get(index)
        return f"GPU {index} ({known.uuid})" if known and known.uuid else f"GPU {index}"

    def _start_watch(self, handles: dict[int, Any]) -> None:
        """Registers for XIDs once per session. XIDs from before that are not told."""
        if self._watch is not None:
            return
        try:
            watch = _Watch(event_set=pynvml.nvmlEventSetCreate(), keys={}, unwatched={})
        except pynvml.NVMLError:
            return  # tried again at the next read; until then the counts are missing
        self._watch = watch
        for index, handle in handles.items():
            key = _key(self._identity(index, handle=handle))
            watch.keys[_address(handle)] = key
            try:
                pynvml.nvmlDeviceRegisterEvents(handle, _WATCHED_EVENTS, watch.event_set)
            except pynvml.NVMLError as error:
                watch.unwatched[key] = error.value

    def _drain_events(self) -> list[Problem]:
        """Takes what has happened since the last look, without waiting."""
        if self._watch is None:
            return []
        for _ in range(_MAX_EVENTS_PER_READ):
            try:
                event = pynvml.nvmlEventSetWait_v2(self._watch.event_set, 0)
            except pynvml.NVMLError as error:
                if error.value == pynvml.NVML_ERROR_TIMEOUT:  # nothing more
                    return []
                return [Problem(source=SOURCE, message=f"XID events cannot be read: {error}")]
            key = self._watch.keys.get(_address(event.device))
            if key is not None and event.eventType == _WATCHED_EVENTS:
                self._tally(key).add(int(event.eventData))
        return []

    def _tally(self, key: str) -> XidTally:
        return self._tallies.setdefault(key, XidTally(counts=Counter(), last=None))

    def _xids(self, key: str) -> Reading[XidTally]:
        """What was counted; Missing where nobody watches."""
        if self._watch is None:
            return Missing(reason=MissingReason.SOURCE_UNREACHABLE, source=SOURCE)
        if key in self._watch.unwatched:
            reason = REASONS.get(self._watch.unwatched[key], MissingReason.SOURCE_UNREACHABLE)
            return Missing(reason=reason, source=SOURCE)
        tally = self._tally(key)
        return self._fresh(XidTally(counts=Counter(tally.counts), last=tally.last))

    def _fresh(self, value: Any) -> Fresh[Any]:  # noqa: ANN401  the caller's annotation says which
        now = self._clock.timestamp_seconds()
        return Fresh(value=value, observed_timestamp_seconds=now, source=SOURCE)


def _blind(reason: MissingReason, message: str) -> DeviceSurvey:
    missing = Missing(reason=reason, source=SOURCE)
    problem = Problem(source=SOURCE, message=message)
    return DeviceSurvey(devices=missing, driver_version=missing, problems=(problem,))


def _blindness(error: Any) -> MissingReason:  # noqa: ANN401  an NVMLError, which has no type
    if error.value == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND:
        return MissingReason.CANNOT_SEE
    return MissingReason.SOURCE_UNREACHABLE


def _cannot_ask(error: object) -> str:
    return f"the NVIDIA driver cannot be asked: {error}; look into the kernel's log"


def _told(call: Any, handle: Any) -> Any:  # noqa: ANN401  the library has no types
    """The answer, or None: an identity is completed from what was told before."""
    try:
        return None if handle is None else call(handle)
    except (pynvml.NVMLError, UnicodeDecodeError):
        return None


def _key(identity: DeviceIdentity) -> str:
    return identity.uuid or f"index {identity.index}"


def _address(handle: Any) -> int:  # noqa: ANN401
    return ctypes.cast(handle, ctypes.c_void_p).value or 0


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
