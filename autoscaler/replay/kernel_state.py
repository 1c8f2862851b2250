"""The memory of the replay kernel: requests, engines, queues and counters as structured arrays.

In: a workload, step costs, limits. Out: a `World` that compiled code reads and writes in place. Second
stage of the plant, below `service_plant`. Numba is not imported here; nothing moves here.
All times are whole picoseconds in int64, which reach about 50 days; a longer trace is refused.
"""

from dataclasses import astuple
from enum import IntEnum
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from autoscaler.engine_model.costs import PICOSECONDS_PER_SECOND, EngineLimits, StepCosts
from autoscaler.replay.workload import IntArray, Workload

FAR: Final = 2**62
"""Picoseconds that never come; two of them still add up within int64."""

NOBODY: Final = -1
"""In place of a request's row: the end of a queue."""

Rows = npt.NDArray[np.void]
Row: TypeAlias = Any  # one record of a structured array: numpy has no type for its fields


class RequestStatus(IntEnum):
    """What became of a request."""

    PENDING = 0  # not arrived, held, or in an engine
    DONE = 1  # all its tokens were made
    FAILED = 2  # its replica was killed
    SHED = 3  # held too long, or too many were held
    REJECTED = 4  # can never fit into the KV cache


# Plain numbers for compiled code, which takes no members of an Enum into integer fields.
DONE: Final = int(RequestStatus.DONE)
SHED: Final = int(RequestStatus.SHED)
REJECTED: Final = int(RequestStatus.REJECTED)

# What an engine is in the middle of.
RESTING: Final = 0  # between two steps
STEPPING: Final = 1  # one step is in flight
COASTING: Final = 2  # a run of steps that only decode, up to the next finish or a full cache

# One request fills one cache line.
REQUEST: Final = np.dtype(
    [
        ("arrival", np.int64),
        ("first_token", np.int64),  # FAR: none was made
        ("finished", np.int64),  # FAR: it is not
        ("decode_start", np.int64),  # its engine's count of decode steps; -1: it does not decode
        ("prompt", np.int32),
        ("output", np.int32),
        ("target", np.int32),  # tokens to be computed before the next one is made
        ("computed", np.int32),
        ("made", np.int32),  # at `decode_start`, or at all while it does not decode
        ("before", np.int32),  # neighbours in the one queue it stands in
        ("after", np.int32),
        ("status", np.int32),
    ],
    align=True,
)

ENGINE: Final = np.dtype(
    [
        (name, np.int64)
        for name in (
            "due",  # nothing happens in it before; FAR: nothing at all
            "load",  # requests in it
            "chosen",  # how many had arrived when it got its last one
            "phase",
            "time",  # of the last boundary between steps
            "decoding",
            "decode_steps",  # since its start
            "next_finish",  # count of decode steps at which a request is done, or an earlier one
            "decode_tokens",  # context that decoding sequences hold
            "prefill_tokens",  # reserved for prompts that are being computed
            "prefill_first",  # the first in `running` whose prompt is being computed, to its end
            "step_decoding",  # of the step in flight
            "step_prompt_tokens",
            "run_steps",  # of the run it coasts through
            "run_first",
            "run_growth",
            "prompt_total",
            "output_total",
            "emptied",  # when it last became empty
            "floor",
            "prefill_base",
            "prefill_token",
            "prefill_square",
            "sequence",
            "context_token",
        )
    ]
)

QUEUE: Final = np.dtype([("first", np.int64), ("last", np.int64), ("count", np.int64)])

FINISH: Final = np.dtype([("at_step", np.int64), ("request", np.int64)])

SERVICE: Final = np.dtype(
    [
        (name, np.int64)
        for name in (
            "kv_capacity",
            "max_sequences",
            "max_step",
            "max_held",
            "hold_timeout",
            "next_arrival",  # row; all before have arrived
            "first_tokens",  # rows in the log of first tokens
            "finishes",  # rows in the log of finished requests
            "arrived_prompt_tokens",
            "completed_prompt_tokens",
            "completed_output_tokens",
            "failed",
            "shed",
            "rejected",
        )
    ]
)


class World(NamedTuple):
    """All of one service; a request, an engine is its row."""

    service: Rows  # (1,)
    requests: Rows  # (n_requests,)
    held: Rows  # (1,) queue at the gateway
    engines: Rows  # (n_slots,)
    running: Rows  # (n_slots,) queues in order of admission; those that prefill come last
    waiting: Rows  # (n_slots,) queues
    finishes: Rows  # (n_slots, max_sequences) of the decoding ones, in no order
    first_token_log: IntArray  # (n_requests,) rows in some order of events
    finish_log: IntArray


def make_world(
    *,
    workload: Workload,
    limits: EngineLimits,
    max_held_requests: int | None,
    hold_timeout_picoseconds: int | None,
) -> World:
    """The state before the first arrival, without any engine. Raises ValueError on a trace too long."""
    service = np.zeros(1, SERVICE)
    service["kv_capacity"] = limits.kv_capacity_tokens
    service["max_sequences"] = limits.max_sequence_count
    service["max_step"] = limits.max_step_tokens
    service["max_held"] = FAR if max_held_requests is None else max_held_requests
    service["hold_timeout"] = FAR if hold_timeout_picoseconds is None else hold_timeout_picoseconds
    count = len(workload)
    return World(
        service=service,
        requests=_requests(workload),
        held=_queues(1),
        engines=_engines(0),
        running=_queues(0),
        waiting=_queues(0),
        finishes=np.zeros((0, limits.max_sequence_count), FINISH),
        first_token_log=np.zeros(count, np.int64),
        finish_log=np.zeros(count, np.int64),
    )


def grown(world: World, *, slots: int) -> World:
    """The same with room for `slots` engines at least as many as before."""
    more = slots - len(world.engines)
    finishes = np.zeros((more, world.finishes.shape[1]), FINISH)
    return world._replace(
        engines=np.concatenate((world.engines, _engines(more))),
        running=np.concatenate((world.running, _queues(more))),
        waiting=np.concatenate((world.waiting, _queues(more))),
        finishes=np.concatenate((world.finishes, finishes)),
    )


def clear_slot(world: World, slot: int) -> None:
    """An engine without work and without a past."""
    world.engines[slot] = _engines(1)[0]
    world.running[slot] = world.waiting[slot] = _queues(1)[0]


def fail_requests(world: World, slot: int) -> int:
    """Fails all that is in an engine, which is to be cleared then; how many."""
    failed = 0
    for queue in (world.running[slot], world.waiting[slot]):
        number = queue["first"]
        while number != NOBODY:
            world.requests[number]["status"] = RequestStatus.FAILED
            failed += 1
            number = world.requests[number]["after"]
    world.service[0]["failed"] += failed
    return failed


def set_costs(world: World, slot: int, costs: StepCosts) -> None:
    """What the engine's next steps cost."""
    names = ("floor", "prefill_base", "prefill_token", "prefill_square", "sequence")
    for name, value in zip((*names, "context_token"), astuple(costs), strict=True):
        world.engines[slot][name] = value


def check_range(*, workload: Workload, costs: StepCosts, limits: EngineLimits) -> None:
    """Raises ValueError where a point in time could leave int64."""
    if workload.end_seconds * PICOSECONDS_PER_SECOND > FAR:
        raise ValueError(
            f"the trace lasts {workload.end_seconds:.0f} s; replay counts picoseconds up to "
            f"{FAR / PICOSECONDS_PER_SECOND:.0f} s, give a shorter part of it"
        )
    context = costs.context_token_picoseconds * limits.kv_capacity_tokens
    decode = costs.sequence_picoseconds * limits.max_sequence_count + context
    tokens = limits.max_step_tokens
    prefill = costs.prefill_picoseconds(tokens=tokens, square=tokens * limits.kv_capacity_tokens)
    steps = min(limits.kv_capacity_tokens, int(workload.output_tokens.max(initial=1)))
    longest = max(prefill + decode, steps * (costs.floor_picoseconds + decode))
    if longest > FAR:
        raise ValueError(
            f"with these step costs the longest step or run of {steps} steps may take "
            f"{longest / PICOSECONDS_PER_SECOND:.0f} s; replay counts picoseconds up to "
            f"{FAR / PICOSECONDS_PER_SECOND:.0f} s, lower the costs"
        )


def _requests(workload: Workload) -> Rows:
    rows = np.zeros(len(workload), REQUEST)
    rows["arrival"] = np.rint(workload.arrival_seconds * PICOSECONDS_PER_SECOND)
    rows["prompt"] = rows["target"] = workload.prompt_tokens
    rows["output"] = workload.output_tokens
    rows["first_token"] = rows["finished"] = FAR
    rows["decode_start"] = rows["before"] = rows["after"] = NOBODY
    return rows


def _engines(count: int) -> Rows:
    rows = np.zeros(count, ENGINE)
    rows["due"] = rows["next_finish"] = FAR
    rows["prefill_first"] = NOBODY
    return rows


def _queues(count: int) -> Rows:
    rows = np.zeros(count, QUEUE)
    rows["first"] = rows["last"] = NOBODY
    return rows
