"""One service in a replay: its requests, its simulated replicas, and what became of each request.

In: a workload, the truth about its engines, and from the runner replicas to open, drain or kill at
points in time. Out: what metrics would tell meanwhile, and the outcome of every request. Requests go to
the open replica with the fewest requests in it, of equals the one chosen longest ago, as at the gateway;
while none is open they are held. Exact: however time is cut into calls of `advance`, the result is the same to the
picosecond. The work is done by `kernel`, the memory is laid out in `kernel_state`; knows no policy.
"""

import math
from dataclasses import dataclass
from enum import Enum, auto
from types import ModuleType

import numpy as np

from autoscaler.engine_model.costs import (
    PICOSECONDS_PER_SECOND,
    EngineLimits,
    StepCosts,
    picoseconds,
    seconds,
)
from autoscaler.errors import ReplayError
from autoscaler.replay import kernel_state
from autoscaler.replay.kernel_state import FAR, NOBODY, RequestStatus
from autoscaler.replay.view import ReplicaSample
from autoscaler.replay.workload import FloatArray, IntArray, Workload

__all__ = ["MAX_REPLICAS", "Outcomes", "RequestStatus", "ServicePlant"]

MAX_REPLICAS = 1024
"""Of one service at once, pending and draining ones included; a row of memory each."""


class _Stage(Enum):
    PENDING = auto()
    OPEN = auto()
    DRAINING = auto()


@dataclass(slots=True, kw_only=True)
class _Replica:
    slot: int
    stage: _Stage = _Stage.PENDING
    drained_seconds: float = 0.0  # when it was told to drain


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Of a stretch of requests, shapes (n,). Seconds since the start of the trace; NaN: not yet."""

    status: "np.typing.NDArray[np.int8]"  # RequestStatus
    first_token_seconds: FloatArray
    finished_seconds: FloatArray


class ServicePlant:
    """The service at one moment of the trace, from 0 s on. Replicas are named by number."""

    def __init__(
        self,
        *,
        workload: Workload,
        costs: StepCosts,
        limits: EngineLimits,
        max_held_requests: int | None = None,
        hold_timeout_seconds: float | None = None,
    ) -> None:
        """None: no limit. Raises ValueError on a negative limit or on times too long to count,
        ReplayError without numba.
        """
        for name, limit in (
            ("max_held_requests", max_held_requests),
            ("hold_timeout_seconds", hold_timeout_seconds),
        ):
            if limit is not None and not limit >= 0:
                raise ValueError(f"{name} is {limit}; give 0 or more, or None for no limit")
        kernel_state.check_range(workload=workload, costs=costs, limits=limits)
        self._kernel = _kernel()
        self._workload = workload
        self._costs = costs
        self._limits = limits
        self._world = kernel_state.make_world(
            workload=workload,
            limits=limits,
            max_held_requests=max_held_requests,
            hold_timeout_picoseconds=_hold_picoseconds(hold_timeout_seconds),
        )
        self._now = 0
        self._last_number = 0
        self._replicas: dict[int, _Replica] = {}  # rising numbers
        self._free_slots: list[int] = []
        self._open_numbers: tuple[int, ...] = ()
        self._routed: IntArray = np.empty(0, np.int64)  # their slots
        self._first_tokens_taken = 0
        self._finishes_taken = 0

    # time

    def advance(self, to_seconds: float) -> None:
        """All that happens until then, arrivals at that very time included. Raises ValueError for the past."""
        if not 0 <= to_seconds * PICOSECONDS_PER_SECOND < FAR:
            limit = FAR / PICOSECONDS_PER_SECOND
            raise ValueError(f"cannot advance to {to_seconds} s; give a time below {limit:.0f} s")
        to = picoseconds(to_seconds)
        if to < self._now:
            raise ValueError(
                f"cannot advance to {to_seconds} s, it is {seconds(self._now)} s already; "
                "give times in order"
            )
        self._kernel.advance_service(self._world, self._routed, to)
        self._now = to

    # replicas

    def add_replica(self) -> int:
        """The number of a new one, above all before; it gets nothing until it is opened.

        Raises ReplayError beyond MAX_REPLICAS.
        """
        if len(self._replicas) >= MAX_REPLICAS:
            raise ReplayError(
                f"a service in replay has {MAX_REPLICAS} replicas at most; lower the policy's "
                "maximum or choose a quicker engine"
            )
        if not self._free_slots:
            self._grow()
        self._last_number += 1
        replica = _Replica(slot=self._free_slots.pop())
        self._replicas[self._last_number] = replica
        kernel_state.set_costs(self._world, replica.slot, self._costs)
        return self._last_number

    def open_replica(self, number: int) -> None:
        """It serves from now on, what is held first. Raises ValueError unless it is pending."""
        replica = self._replica(number)
        if replica.stage is not _Stage.PENDING:
            raise ValueError(f"replica {number} was opened before; open a new one")
        replica.stage = _Stage.OPEN
        self._route()
        # Requests are held only while nothing is open, so the first to open gets all of them.
        self._kernel.release_held(self._world, replica.slot, self._now)

    def drain_replica(self, number: int) -> None:
        """It gets nothing new and goes on with what it has. Raises ValueError unless it is open."""
        replica = self._replica(number)
        if replica.stage is not _Stage.OPEN:
            raise ValueError(f"replica {number} is not open; only an open one can drain")
        replica.stage = _Stage.DRAINING
        replica.drained_seconds = seconds(self._now)
        self._route()

    def is_empty(self, number: int) -> bool:
        """Whether no request is in it."""
        return bool(self._world.engines[self._replica(number).slot]["load"] == 0)

    def emptied_seconds(self, number: int) -> float | None:
        """When a draining one had no request any more; None: it has some, or does not drain."""
        replica = self._replica(number)
        if replica.stage is not _Stage.DRAINING or not self.is_empty(number):
            return None
        last_finish = seconds(int(self._world.engines[replica.slot]["emptied"]))
        return max(last_finish, replica.drained_seconds)

    def remove_replica(self, number: int) -> None:
        """It is gone. Raises ValueError while requests are in it."""
        if not self.is_empty(number):
            load = self._world.engines[self._replica(number).slot]["load"]
            raise ValueError(f"replica {number} has {load} requests; drain it first, or kill it")
        self._forget(number)

    def kill_replica(self, number: int) -> int:
        """It is gone and its requests have failed; how many those were."""
        failed = kernel_state.fail_requests(self._world, self._replica(number).slot)
        self._forget(number)
        return failed

    def slow_replica(self, number: int, factor: float) -> None:
        """Its steps take `factor` times as long as the service's, from its next step on.

        Raises ValueError on a factor that is no positive number, or too large to count with.
        """
        if not 0 < factor < math.inf:
            raise ValueError(f"factor is {factor}; give a number above 0, 1 for as usual")
        slot = self._replica(number).slot
        costs = self._costs.scaled(factor)
        kernel_state.check_range(workload=self._workload, costs=costs, limits=self._limits)
        self._kernel.settle(self._world, np.array([slot], np.int64), self._now)
        kernel_state.set_costs(self._world, slot, costs)

    # what metrics would tell

    def samples(self) -> tuple[ReplicaSample, ...]:
        """Of the open replicas, the oldest first; those that drain are not among them."""
        return self._samples(self._open_numbers, slots=self._routed)

    def draining_samples(self) -> tuple[ReplicaSample, ...]:
        """Of those that drain, the oldest first."""
        slots = {
            number: replica.slot
            for number, replica in self._replicas.items()
            if replica.stage is _Stage.DRAINING
        }
        return self._samples(tuple(slots), slots=np.array(tuple(slots.values()), np.int64))

    def _samples(self, numbers: tuple[int, ...], *, slots: IntArray) -> tuple[ReplicaSample, ...]:
        self._kernel.settle(self._world, slots, self._now)
        engines = self._world.engines[slots]
        columns = (
            self._world.running["count"][slots],
            self._world.waiting["count"][slots],
            engines["decode_tokens"] + engines["prefill_tokens"],
            engines["prompt_total"],
            engines["output_total"],
        )
        return tuple(
            ReplicaSample(
                number=number,
                running_requests=running,
                waiting_requests=waiting,
                kv_used_tokens=kv,
                prompt_tokens_total=prompt,
                output_tokens_total=output,
            )
            for number, running, waiting, kv, prompt, output in zip(
                numbers, *(column.tolist() for column in columns), strict=True
            )
        )

    def in_flight_requests(self) -> int:
        """In all engines, also in those that drain."""
        return int(self._world.engines["load"].sum())

    @property
    def arrived_requests(self) -> int:
        """Until now, whatever became of them."""
        return self._count("next_arrival")

    @property
    def arrived_prompt_tokens(self) -> int:
        """Of arrived requests."""
        return self._count("arrived_prompt_tokens")

    @property
    def completed_requests(self) -> int:
        """Whose last token was made."""
        return self._count("finishes")

    @property
    def completed_prompt_tokens(self) -> int:
        """Of completed requests."""
        return self._count("completed_prompt_tokens")

    @property
    def completed_output_tokens(self) -> int:
        """Of completed requests."""
        return self._count("completed_output_tokens")

    @property
    def failed_requests(self) -> int:
        """Lost with a killed replica."""
        return self._count("failed")

    @property
    def shed_requests(self) -> int:
        """Held too long, or one too many."""
        return self._count("shed")

    @property
    def rejected_requests(self) -> int:
        """That can never fit into the KV cache."""
        return self._count("rejected")

    @property
    def held_requests(self) -> int:
        """At the gateway now, because no replica is open."""
        return int(self._world.held[0]["count"])

    @property
    def oldest_held_seconds(self) -> float:
        """How long the oldest of them is held; 0 without any."""
        first = int(self._world.held[0]["first"])
        if first == NOBODY:
            return 0.0
        return seconds(self._now - int(self._world.requests[first]["arrival"]))

    def take_first_tokens(self) -> FloatArray:
        """Seconds from arrival to first token of those made since the last call, in order of time."""
        end = self._count("first_tokens")
        rows = self._world.requests[self._world.first_token_log[self._first_tokens_taken : end]]
        self._first_tokens_taken = end
        times = rows["first_token"] - rows["arrival"]
        return _seconds(times[np.lexsort((rows["arrival"], rows["first_token"]))])

    def take_finished(self) -> tuple[FloatArray, FloatArray]:
        """Of those finished since the last call, in order of time: (mean seconds per output token after
        the first, 0 where there was but one; output tokens).
        """
        end = self._count("finishes")
        rows = self._world.requests[self._world.finish_log[self._finishes_taken : end]]
        self._finishes_taken = end
        rows = rows[np.lexsort((rows["arrival"], rows["finished"]))]
        output = rows["output"].astype(np.float64)
        return _seconds(rows["finished"] - rows["first_token"]) / np.maximum(output - 1, 1), output

    # outcomes, for the score; shapes: all (n_requests,), seconds since the start of the trace

    @property
    def first_token_seconds(self) -> FloatArray:
        """When each request's first token was made; NaN where none was."""
        return _known_seconds(self._world.requests["first_token"])

    @property
    def finished_seconds(self) -> FloatArray:
        """When each request was done; NaN where it is not."""
        return _known_seconds(self._world.requests["finished"])

    @property
    def status(self) -> "np.typing.NDArray[np.int8]":
        """What became of each request, as RequestStatus."""
        return self._world.requests["status"].astype(np.int8)

    def outcomes(self, first: int, last: int) -> "Outcomes":
        """Of requests [first, last) in order of arrival, as of now."""
        rows = self._world.requests[first:last]
        return Outcomes(
            status=rows["status"].astype(np.int8),
            first_token_seconds=_known_seconds(rows["first_token"]),
            finished_seconds=_known_seconds(rows["finished"]),
        )

    # inside

    def _replica(self, number: int) -> _Replica:
        try:
            return self._replicas[number]
        except KeyError:
            raise ValueError(
                f"there is no replica {number}; it was removed or killed, or never added"
            ) from None

    def _count(self, name: str) -> int:
        return int(self._world.service[0][name])

    def _grow(self) -> None:
        before = len(self._world.engines)
        slots = min(max(16, 2 * before), MAX_REPLICAS)
        self._world = kernel_state.grown(self._world, slots=slots)
        self._free_slots = list(range(slots - 1, before - 1, -1))

    def _route(self) -> None:
        is_open = {n: each.slot for n, each in self._replicas.items() if each.stage is _Stage.OPEN}
        self._open_numbers = tuple(is_open)
        self._routed = np.array(tuple(is_open.values()), np.int64)

    def _forget(self, number: int) -> None:
        slot = self._replicas.pop(number).slot
        kernel_state.clear_slot(self._world, slot)
        self._free_slots.append(slot)
        self._route()


def _kernel() -> ModuleType:
    try:
        from autoscaler.replay import kernel  # noqa: PLC0415 # numba is slow to import
    except ModuleNotFoundError as missing:
        if missing.name != "numba":
            raise
        raise ReplayError(
            "replay needs the package numba; pip install 'foresail[backtest]'"
        ) from None
    return kernel


def _hold_picoseconds(timeout_seconds: float | None) -> int | None:
    """None also where it is longer than any trace."""
    if timeout_seconds is None or timeout_seconds * PICOSECONDS_PER_SECOND >= FAR:
        return None
    return picoseconds(timeout_seconds)


def _seconds(times: IntArray) -> FloatArray:
    return times / float(PICOSECONDS_PER_SECOND)


def _known_seconds(times: IntArray) -> FloatArray:
    return np.where(times == FAR, np.nan, times / float(PICOSECONDS_PER_SECOND))
