"""The inner loop of replay: requests routed to engines and engines moved on, compiled by numba.

In: a `World` and the time until which all happens. Out: nothing; the world is changed in place. Below
`service_plant`, which imports this module only when a plant is made, as numba is slow to import.
Rules and results are those of `engine_model.engine`, picosecond by picosecond; a property test
holds them together. What is quicker here: an engine that only decodes coasts to its next finish
at once and is cut short only when a request comes to it, so others cost it nothing.

All compiled code stays in this one file: numba renews its cache when the file of a function
changes, not when that of its callees does. Arguments are positional, as numba has no others by
keyword only. No clock, no chance, no I/O.
"""

import numpy as np

from autoscaler.replay.compiled import compiled
from autoscaler.replay.kernel_state import (
    COASTING,
    DONE,
    FAR,
    NOBODY,
    REJECTED,
    RESTING,
    SHED,
    STEPPING,
    Row,
    Rows,
    World,
)
from autoscaler.replay.workload import IntArray


@compiled
def advance_service(world: World, routed: IntArray, to: int) -> None:
    """All that happens until `to`; no step begins exactly then. `routed`: open slots, oldest first."""
    service = world.service[0]
    requests = world.requests
    while service.next_arrival < len(requests) and requests[service.next_arrival].arrival <= to:
        service.next_arrival += 1
        _arrive(world, routed, service.next_arrival - 1)
    _shed_expired(world, to)
    for slot in range(len(world.engines)):
        if world.engines[slot].due <= to:
            _advance_engine(world, slot, to)


@compiled
def release_held(world: World, slot: int, now: int) -> None:
    """All held requests go to an engine."""
    while world.held[0].count > 0:
        _submit(world, slot, _unlink(world.held[0], world.requests, world.held[0].first), now)


@compiled
def settle(world: World, slots: IntArray, now: int) -> None:
    """Counts in these engines the steps that have ended by now, those inside of a run too."""
    for slot in slots:
        _settle(world, slot, now)


@compiled
def _settle(world: World, slot: int, now: int) -> None:
    """Cuts a run of steps short: what has ended by now counts, a step begun before is in flight."""
    engine = world.engines[slot]
    if engine.phase != COASTING:
        return
    _count_steps(world, slot, _steps_within(now - engine.time, engine.run_first, engine.run_growth))
    engine.phase = RESTING
    engine.due = engine.time + 1
    if engine.due <= now:
        _begin_step(world, slot)


@compiled
def _arrive(world: World, routed: IntArray, number: int) -> None:
    service = world.service[0]
    request = world.requests[number]
    service.arrived_prompt_tokens += request.prompt
    if request.prompt + request.output - 1 > service.kv_capacity:
        request.status = REJECTED
        service.rejected += 1
    elif len(routed) > 0:
        _submit(world, _least_loaded(world, routed, request.arrival), number, request.arrival)
    else:
        _shed_expired(world, request.arrival)
        if world.held[0].count < service.max_held:
            _put_between(world.held[0], world.requests, world.held[0].last, number, NOBODY)
        else:
            request.status = SHED
            service.shed += 1


@compiled
def _least_loaded(world: World, routed: IntArray, at: int) -> int:
    best = routed[0]
    load = chosen = FAR
    for slot in routed:
        engine = world.engines[slot]
        if engine.due <= at:
            _advance_engine(world, slot, at)
        if engine.load < load or (engine.load == load and engine.chosen < chosen):
            best = slot
            load, chosen = engine.load, engine.chosen
    return int(best)


@compiled
def _shed_expired(world: World, now: int) -> None:
    service = world.service[0]
    held = world.held[0]
    while held.count > 0 and world.requests[held.first].arrival + service.hold_timeout <= now:
        world.requests[_unlink(held, world.requests, held.first)].status = SHED
        service.shed += 1


@compiled
def _submit(world: World, slot: int, number: int, at: int) -> None:
    """Puts a request at the end of the queue of an engine that has been advanced to `at`."""
    engine = world.engines[slot]
    waiting = world.waiting[slot]
    engine.chosen = world.service[0].next_arrival
    if waiting.count == 0:  # were there others, the first would not fit, and still does not
        _settle(world, slot, at)
    if engine.load == 0:
        engine.time = at
    engine.load += 1
    _put_between(waiting, world.requests, waiting.last, number, NOBODY)
    if engine.phase == RESTING:
        engine.due = engine.time + 1


@compiled
def _advance_engine(world: World, slot: int, to: int) -> None:
    engine = world.engines[slot]
    while engine.due <= to:
        if engine.phase == COASTING:
            _count_steps(world, slot, engine.run_steps)
            _finish_due(world, slot)
        elif engine.phase == STEPPING:
            _end_step(world, slot)
        engine.phase = RESTING
        engine.due = engine.time + 1 if engine.load > 0 else FAR
        if engine.due <= to:
            _begin(world, slot)


@compiled
def _begin(world: World, slot: int) -> None:
    engine = world.engines[slot]
    steps = 0
    if engine.prefill_first == NOBODY and not _head_fits(world, slot, engine.decoding):
        steps = engine.next_finish - engine.decode_steps
        steps = min(steps, _free_tokens(world, slot) // engine.decoding)
    if steps == 0:  # a prompt to be computed, or a full cache
        _begin_step(world, slot)
        return
    count = engine.decoding
    context = engine.decode_tokens + count
    engine.run_steps = steps
    engine.run_growth = engine.context_token * count
    engine.run_first = engine.floor + engine.sequence * count + engine.context_token * context
    engine.phase = COASTING
    engine.due = engine.time + _run_time(steps, engine.run_first, engine.run_growth)


@compiled
def _count_steps(world: World, slot: int, steps: int) -> None:
    engine = world.engines[slot]
    engine.time += _run_time(steps, engine.run_first, engine.run_growth)
    engine.decode_steps += steps
    engine.decode_tokens += steps * engine.decoding
    engine.output_total += steps * engine.decoding


@compiled
def _run_time(steps: int, first: int, growth: int) -> int:
    return steps * first + growth * (steps * (steps - 1) // 2)


@compiled
def _steps_within(span: int, first: int, growth: int) -> int:
    """The most steps that take no longer than the span: near it by floats, then exactly."""
    # The square of a step's picoseconds leaves int64. Written so that nothing cancels.
    middle = 2.0 * first - growth
    steps = int(4.0 * span / (middle + np.sqrt(middle * middle + 8.0 * growth * span)))
    while _run_time(steps, first, growth) > span:
        steps -= 1
    while _run_time(steps + 1, first, growth) <= span:
        steps += 1
    return steps


@compiled
def _free_tokens(world: World, slot: int) -> int:
    engine = world.engines[slot]
    return int(world.service[0].kv_capacity - engine.decode_tokens - engine.prefill_tokens)


@compiled
def _head_fits(world: World, slot: int, reserved: int) -> bool:
    """Whether the first in the queue fits beside `reserved` tokens."""
    waiting = world.waiting[slot]
    if waiting.count == 0 or world.running[slot].count >= world.service[0].max_sequences:
        return False
    return bool(world.requests[waiting.first].target <= _free_tokens(world, slot) - reserved)


@compiled
def _begin_step(world: World, slot: int) -> None:
    engine = world.engines[slot]
    is_full = _free_tokens(world, slot) < engine.decoding
    while _free_tokens(world, slot) < engine.decoding:
        _preempt(world, slot, world.running[slot].last)
    engine.decode_tokens += engine.decoding
    left = world.service[0].max_step - engine.decoding
    tokens = square = 0
    number = engine.prefill_first
    while number != NOBODY:
        request = world.requests[number]
        chunk = min(left - tokens, request.target - request.computed)
        request.computed += chunk
        tokens += chunk
        square += chunk * request.computed
        number = request.after
    while not is_full and tokens < left and _head_fits(world, slot, 0):
        request = world.requests[_admit(world, slot)]
        chunk = min(left - tokens, request.target)
        request.computed = chunk
        tokens += chunk
        square += chunk * chunk
    _fly(engine, tokens, square)


@compiled
def _fly(engine: Row, tokens: int, square: int) -> None:
    duration = engine.floor
    if tokens > 0:
        prefill = engine.prefill_base + engine.prefill_token * tokens
        duration = max(duration, prefill + engine.prefill_square * square)
    duration += engine.sequence * engine.decoding + engine.context_token * engine.decode_tokens
    engine.step_decoding = engine.decoding
    engine.step_prompt_tokens = tokens
    engine.phase = STEPPING
    engine.due = engine.time + duration


@compiled
def _admit(world: World, slot: int) -> int:
    engine = world.engines[slot]
    waiting = world.waiting[slot]
    running = world.running[slot]
    number = _unlink(waiting, world.requests, waiting.first)
    _put_between(running, world.requests, running.last, number, NOBODY)
    if engine.prefill_first == NOBODY:
        engine.prefill_first = number
    engine.prefill_tokens += world.requests[number].target
    return number


@compiled
def _preempt(world: World, slot: int, number: int) -> None:
    engine = world.engines[slot]
    request = world.requests[number]
    if request.decode_start == NOBODY:
        engine.prefill_tokens -= request.target
        if engine.prefill_first == number:
            engine.prefill_first = NOBODY
    else:
        request.made += engine.decode_steps - request.decode_start
        place = 0
        while world.finishes[slot, place].request != number:
            place += 1
        _stop_decoding(world, slot, place)
    _unlink(world.running[slot], world.requests, number)
    request.target = request.prompt + request.made
    request.computed = 0
    waiting = world.waiting[slot]
    _put_between(waiting, world.requests, NOBODY, number, waiting.first)


@compiled
def _stop_decoding(world: World, slot: int, place: int) -> None:
    # The next finish is left as it is: too early is no harm, a run in two parts is the same run.
    engine = world.engines[slot]
    finishes = world.finishes[slot]
    request = world.requests[finishes[place].request]
    engine.decode_tokens -= request.target + engine.decode_steps - request.decode_start
    engine.decoding -= 1
    request.decode_start = NOBODY
    finishes[place].request = finishes[engine.decoding].request
    finishes[place].at_step = finishes[engine.decoding].at_step


@compiled
def _end_step(world: World, slot: int) -> None:
    engine = world.engines[slot]
    engine.time = engine.due
    engine.prompt_total += engine.step_prompt_tokens
    if engine.step_decoding > 0:
        engine.decode_steps += 1
        engine.output_total += engine.step_decoding
        _finish_due(world, slot)
    while engine.prefill_first != NOBODY:
        number = engine.prefill_first
        request = world.requests[number]
        if request.computed < request.target:
            return  # the only one: nothing behind it was admitted
        engine.prefill_first = request.after
        _give_first_token(world, slot, number)


@compiled
def _give_first_token(world: World, slot: int, number: int) -> None:
    engine = world.engines[slot]
    request = world.requests[number]
    engine.prefill_tokens -= request.target
    engine.output_total += 1
    if request.first_token == FAR:
        request.first_token = engine.time
        world.first_token_log[world.service[0].first_tokens] = number
        world.service[0].first_tokens += 1
    request.made += 1
    left = request.output - request.made
    if left == 0:
        _complete(world, slot, number)
        return
    finish = world.finishes[slot, engine.decoding]  # the first free place
    finish.request = number
    finish.at_step = engine.decode_steps + left
    engine.next_finish = min(engine.next_finish, finish.at_step)
    engine.decode_tokens += request.target
    engine.decoding += 1
    request.decode_start = engine.decode_steps


@compiled
def _finish_due(world: World, slot: int) -> None:
    engine = world.engines[slot]
    if engine.next_finish > engine.decode_steps:
        return
    engine.next_finish = FAR
    place = 0
    while place < engine.decoding:
        finish = world.finishes[slot, place]
        if finish.at_step <= engine.decode_steps:
            number = finish.request
            _stop_decoding(world, slot, place)
            _complete(world, slot, number)
        else:
            engine.next_finish = min(engine.next_finish, finish.at_step)
            place += 1


@compiled
def _complete(world: World, slot: int, number: int) -> None:
    engine = world.engines[slot]
    service = world.service[0]
    request = world.requests[_unlink(world.running[slot], world.requests, number)]
    request.status = DONE
    request.finished = engine.time
    world.finish_log[service.finishes] = number
    service.finishes += 1
    service.completed_prompt_tokens += request.prompt
    service.completed_output_tokens += request.output
    engine.load -= 1
    if engine.load == 0:
        engine.emptied = engine.time


@compiled
def _put_between(queue: Row, requests: Rows, before: int, number: int, after: int) -> None:
    requests[number].before = before
    requests[number].after = after
    if before == NOBODY:
        queue.first = number
    else:
        requests[before].after = number
    if after == NOBODY:
        queue.last = number
    else:
        requests[after].before = number
    queue.count += 1


@compiled
def _unlink(queue: Row, requests: Rows, number: int) -> int:
    before = requests[number].before
    after = requests[number].after
    if before == NOBODY:
        queue.first = after
    else:
        requests[before].after = after
    if after == NOBODY:
        queue.last = before
    else:
        requests[after].before = before
    queue.count -= 1
    return number
