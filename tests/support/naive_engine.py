"""The engine model's rules once more, one step at a time and as plainly as possible: the oracle."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from autoscaler.engine_model.costs import EngineLimits, StepCosts
from autoscaler.engine_model.request import Completion, EndReason, Request


@dataclass
class Job:
    """A request in the naive engine."""

    request: Request
    arrival: int
    admitted: int | None = None
    first: int | None = None
    made: int = 0
    computed: int = 0
    target: int = 0
    preemptions: int = 0

    @property
    def decodes(self) -> bool:
        return self.computed == self.target

    @property
    def held(self) -> int:
        return self.target


def naive_completions(
    arrivals: Sequence[tuple[int, Request]], *, costs: StepCosts, limits: EngineLimits
) -> list[Completion]:
    """What becomes of requests that arrive at these times (in order)."""
    coming = deque(arrivals)
    waiting: deque[Job] = deque()
    running: list[Job] = []
    done: list[Completion] = []
    now = 0
    while coming or waiting or running:
        if not waiting and not running:
            now = max(now, coming[0][0])
        while coming and coming[0][0] <= now:
            at, request = coming.popleft()
            waiting.append(Job(request=request, arrival=at, target=request.prompt_tokens))
        now = _step(now, waiting=waiting, running=running, done=done, costs=costs, limits=limits)
    return done


def _step(
    now: int,
    *,
    waiting: deque[Job],
    running: list[Job],
    done: list[Completion],
    costs: StepCosts,
    limits: EngineLimits,
) -> int:
    preempted = False
    while sum(j.held for j in running) + sum(j.decodes for j in running) > (
        limits.kv_capacity_tokens
    ):
        preempted = True
        job = running.pop()
        job.target, job.computed = job.request.prompt_tokens + job.made, 0
        job.preemptions += 1
        waiting.appendleft(job)
    decoding = [job for job in running if job.decodes]
    for job in decoding:
        job.target += 1
        job.computed += 1
    context = sum(job.target for job in decoding)
    left = limits.max_step_tokens - len(decoding)
    tokens = square = 0
    prefilling = [job for job in running if not job.decodes]
    for job in prefilling:
        chunk = min(left - tokens, job.target - job.computed)
        job.computed += chunk
        tokens += chunk
        square += chunk * job.computed
    while (
        not preempted
        and waiting
        and tokens < left
        and len(running) < limits.max_sequence_count
        and waiting[0].target + sum(j.held for j in running) <= limits.kv_capacity_tokens
    ):
        job = waiting.popleft()
        job.admitted = now if job.admitted is None else job.admitted
        running.append(job)
        prefilling.append(job)
        chunk = min(left - tokens, job.target)
        job.computed = chunk
        tokens += chunk
        square += chunk * chunk
    now += costs.prefill_picoseconds(tokens=tokens, square=square)
    now += costs.sequence_picoseconds * len(decoding) + costs.context_token_picoseconds * context
    for job in [*decoding, *(job for job in prefilling if job.decodes)]:
        job.made += 1
        job.first = now if job.first is None else job.first
        if job.made == job.request.output_tokens:
            running.remove(job)
            done.append(
                Completion(
                    job.request.number, job.request.prompt_tokens, job.made, job.arrival,
                    job.admitted, job.first, now, job.preemptions, EndReason.DONE,
                )
            )  # fmt: skip
    return now
