"""The engine model: continuous batching with chunked prefill, KV capacity and preemption.

In: requests, cancellations and points in time, in order. Out: completions, and on request the runs of
steps. Rules as vLLM's scheduler has them: running sequences first, one token each; what is left of
the step's tokens goes to prompts, first come first served; a prompt enters when all of it fits
into the KV cache; when the cache is full, the newest running sequence goes back to the head of
the queue and is computed anew. Steps between two events in which the same sequences decode are
counted at once; as all times are integers the result is the one of single steps. No clock, no
chance, no I/O. Used by the emulated engine and by replays; must not know about either.
"""

import math
from collections import deque
from heapq import heappop, heappush

from autoscaler.engine_model.costs import EngineLimits, StepCosts
from autoscaler.engine_model.request import Completion, EndReason, Load, Request, StepRun
from autoscaler.engine_model.sequence import Sequence


class EngineModel:
    """One replica. All times are picoseconds; calls come in order of time."""

    def __init__(self, *, costs: StepCosts, limits: EngineLimits, keeps_runs: bool = False) -> None:
        self._costs = costs
        self._limits = limits
        self._keeps_runs = keeps_runs
        self._time = 0
        self._is_paused = False
        self._waiting: deque[Sequence] = deque()
        self._running: dict[int, Sequence] = {}  # in order of admission
        self._prefilling: list[Sequence] = []  # those of them whose prompt is not computed yet
        self._finishes: list[tuple[int, int, Sequence]] = []  # heap; outdated entries are skipped
        self._order = 0
        self._decoding_count = 0
        self._decode_steps = 0
        self._decode_tokens = 0  # context that decoding sequences hold
        self._prefill_tokens = 0  # reserved for prompts that are being computed
        self._preemption_count = 0
        self._step_end: int | None = None  # of the step in flight
        self._flying = StepRun(0, 0, 0, 0, 0)  # that step
        self._completions: list[Completion] = []
        self._runs: list[StepRun] = []
        self._gaps: list[int] = []
        self._first_tokens: list[tuple[int, int]] = []

    def submit(self, request: Request, *, at: int) -> None:
        """Puts a request at the end of the queue. Raises ValueError if it can never be served."""
        number, prompt, output = request
        if prompt < 1 or output < 1:
            raise ValueError(
                f"request {number}: {prompt} + {output} tokens; give 1 or more of each"
            )
        if prompt + output - 1 > self._limits.kv_capacity_tokens:
            raise ValueError(
                f"request {number}: {prompt} + {output} tokens do not fit into "
                f"kv_capacity_tokens = {self._limits.kv_capacity_tokens}"
            )
        self.advance(at)
        self._waiting.append(Sequence(request=request, arrival=at))

    def cancel(self, number: int, *, at: int) -> Completion | None:
        """Takes a request back; what had become of it, or None when it is not in the engine."""
        self.advance(at)
        sequence = self._running.get(number)
        if sequence is None:
            sequence = next((one for one in self._waiting if one.request.number == number), None)
            if sequence is None:
                return None
            self._waiting.remove(sequence)
        made = sequence.made_at(self._decode_steps)
        if number in self._running:
            self._leave(sequence)
        return sequence.completion(reason=EndReason.CANCELLED, now=at, output_tokens=made)

    def pause(self, *, at: int) -> None:
        """The step in flight ends, no other begins."""
        self.advance(at)
        self._is_paused = True

    def resume(self, *, at: int) -> None:
        """Goes on where it was."""
        self.advance(at)
        self._is_paused = False

    def change_costs(self, costs: StepCosts, *, at: int) -> None:
        """Steps that begin from now on cost this."""
        self.advance(at)
        self._costs = costs

    def advance(self, to: int) -> None:
        """Carries out all that happens until `to`; a step that begins exactly then does not."""
        while True:
            if self._step_end is not None:
                if self._step_end > to:
                    return
                self._end_step(self._step_end)
            if self._time >= to:
                return
            if self._is_paused or not (self._running or self._waiting):
                self._time = to
            elif self._prefilling or self._head_fits():
                self._begin_step()
            else:
                self._decode_until(to)

    def next_boundary(self) -> int | None:
        """When the step in flight ends, or the next may begin; None: nothing is to be done."""
        if self._step_end is not None:
            return self._step_end
        has_work = not self._is_paused and (self._running or self._waiting)
        return self._time if has_work else None

    def output_tokens(self, number: int) -> int | None:
        """Tokens made so far; None when it does not run: it waits, is done, or was never there."""
        sequence = self._running.get(number)
        return None if sequence is None else sequence.made_at(self._decode_steps)

    def load(self) -> Load:
        """What is in the engine."""
        return Load(
            running_count=len(self._running),
            waiting_count=len(self._waiting),
            kv_used_tokens=self._decode_tokens + self._prefill_tokens,
            preemption_count=self._preemption_count,
        )

    def take_completions(self) -> list[Completion]:
        """Those done since the last call, in order; cancelled ones are not among them."""
        taken, self._completions = self._completions, []
        return taken

    def take_runs(self) -> list[StepRun]:
        """Steps ended since the last call; empty without `keeps_runs`."""
        taken, self._runs = self._runs, []
        return taken

    def take_gaps(self) -> list[int]:
        """Times between two tokens with a preemption between them; empty without `keeps_runs`."""
        taken, self._gaps = self._gaps, []
        return taken

    def take_first_tokens(self) -> list[tuple[int, int]]:
        """(number, time from arrival) of first tokens since the last call, with `keeps_runs`."""
        taken, self._first_tokens = self._first_tokens, []
        return taken

    def _free_tokens(self) -> int:
        used = self._decode_tokens + self._prefill_tokens
        return self._limits.kv_capacity_tokens - used

    def _head_fits(self) -> bool:
        if not self._waiting or len(self._running) >= self._limits.max_sequence_count:
            return False
        return self._waiting[0].target_tokens <= self._free_tokens() - self._decoding_count

    def _begin_step(self) -> None:
        is_full = self._make_room()
        decoding = self._decoding_count
        self._decode_tokens += decoding
        left = self._limits.max_step_tokens - decoding
        tokens = square = 0
        for sequence in self._prefilling:
            chunk = min(left - tokens, sequence.target_tokens - sequence.computed_tokens)
            sequence.computed_tokens += chunk
            tokens += chunk
            square += chunk * sequence.computed_tokens
        while not is_full and tokens < left and self._next_fits():
            sequence = self._admit()
            chunk = min(left - tokens, sequence.target_tokens)
            sequence.computed_tokens = chunk
            tokens += chunk
            square += chunk * chunk
        self._fly(decoding=decoding, tokens=tokens, square=square)

    def _fly(self, *, decoding: int, tokens: int, square: int) -> None:
        costs = self._costs
        duration = (
            costs.prefill_picoseconds(tokens=tokens, square=square)
            + costs.sequence_picoseconds * decoding
            + costs.context_token_picoseconds * (self._decode_tokens if decoding else 0)
        )
        self._step_end = self._time + duration
        self._flying = StepRun(1, duration, 0, decoding, tokens)

    def _next_fits(self) -> bool:
        """As `_head_fits`, once this step's tokens of decoding sequences are held."""
        if not self._waiting or len(self._running) >= self._limits.max_sequence_count:
            return False
        return self._waiting[0].target_tokens <= self._free_tokens()

    def _admit(self) -> Sequence:
        sequence = self._waiting.popleft()
        if sequence.admitted is None:
            sequence.admitted = self._time
        self._running[sequence.request.number] = sequence
        self._prefilling.append(sequence)
        self._prefill_tokens += sequence.target_tokens
        return sequence

    def _make_room(self) -> bool:
        """Sends the newest back to the queue until every decoding sequence gets a token."""
        is_full = False
        while self._free_tokens() < self._decoding_count:
            is_full = True
            sequence = self._running[next(reversed(self._running))]
            made = sequence.made_at(self._decode_steps)
            if sequence.decode_start is not None:
                sequence.last_token = self._time
            self._leave(sequence)
            sequence.made_tokens = made
            sequence.target_tokens = sequence.request.prompt_tokens + made
            sequence.computed_tokens = 0
            sequence.preemption_count += 1
            self._preemption_count += 1
            self._waiting.appendleft(sequence)
        return is_full

    def _leave(self, sequence: Sequence) -> None:
        """Takes it out of the running ones and frees what it holds."""
        del self._running[sequence.request.number]
        if sequence.decode_start is None:
            self._prefilling.remove(sequence)
            self._prefill_tokens -= sequence.target_tokens
            return
        # All that decode hold the token of a step in flight already.
        grown = self._decode_steps - sequence.decode_start
        if self._step_end is not None:
            grown += 1
            self._flying = self._flying._replace(decoding_count=self._flying.decoding_count - 1)
        self._decode_tokens -= sequence.target_tokens + grown
        self._decoding_count -= 1
        sequence.decode_start = None

    def _end_step(self, end: int) -> None:
        self._time = end
        self._step_end = None
        if self._keeps_runs:
            self._runs.append(self._flying)
        if self._flying.decoding_count:
            self._decode_steps += 1
            self._finish_due()
        if self._prefilling:
            self._end_prefills()

    def _end_prefills(self) -> None:
        unfinished = []
        for sequence in self._prefilling:
            if sequence.computed_tokens < sequence.target_tokens:
                unfinished.append(sequence)
            else:
                self._give_first_token(sequence)
        self._prefilling = unfinished

    def _give_first_token(self, sequence: Sequence) -> None:
        self._prefill_tokens -= sequence.target_tokens
        if sequence.first_token is None:
            sequence.first_token = self._time
            if self._keeps_runs:
                self._first_tokens.append((sequence.request.number, self._time - sequence.arrival))
        elif self._keeps_runs:
            self._gaps.append(self._time - sequence.last_token)
        sequence.made_tokens += 1
        left = sequence.request.output_tokens - sequence.made_tokens
        if left == 0:
            del self._running[sequence.request.number]
            self._complete(sequence)
            return
        self._decode_tokens += sequence.target_tokens
        self._decoding_count += 1
        sequence.decode_start = self._decode_steps
        sequence.finish_at = self._decode_steps + left
        self._order += 1
        heappush(self._finishes, (sequence.finish_at, self._order, sequence))

    def _finish_due(self) -> None:
        finishes = self._finishes
        while finishes and finishes[0][0] <= self._decode_steps:
            due, _, sequence = heappop(finishes)
            if sequence.decode_start is not None and sequence.finish_at == due:
                self._leave(sequence)
                self._complete(sequence)

    def _complete(self, sequence: Sequence) -> None:
        self._completions.append(
            sequence.completion(
                reason=EndReason.DONE,
                now=self._time,
                output_tokens=sequence.request.output_tokens,
            )
        )

    def _decode_until(self, to: int) -> None:
        """All whole steps until the next finish, a full cache, or `to`; else one step, in flight."""
        count = self._decoding_count
        costs = self._costs
        growth = costs.context_token_picoseconds * count
        first = (
            costs.floor_picoseconds
            + costs.sequence_picoseconds * count
            + costs.context_token_picoseconds * (self._decode_tokens + count)
        )
        steps = min(self._steps_to_finish(), self._free_tokens() // count)
        steps = min(steps, _steps_within(to - self._time, first=first, growth=growth))
        if steps == 0:
            self._begin_step()
            return
        self._time += steps * first + growth * (steps * (steps - 1) // 2)
        self._decode_tokens += count * steps
        self._decode_steps += steps
        if self._keeps_runs:
            self._runs.append(StepRun(steps, first, growth, count, 0))
        self._finish_due()

    def _steps_to_finish(self) -> int:
        finishes = self._finishes
        while True:
            due, _, sequence = finishes[0]
            if sequence.decode_start is not None and sequence.finish_at == due:
                return due - self._decode_steps
            heappop(finishes)


def _steps_within(span: int, *, first: int, growth: int) -> int:
    """The largest n with n x first + growth x n (n - 1) / 2 <= span."""
    if growth == 0:
        return span // first
    middle = 2 * first - growth
    return (math.isqrt(middle * middle + 8 * growth * span) - middle) // (2 * growth)
