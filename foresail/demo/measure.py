"""What a token costs on this machine: a few seconds of real completions, and two numbers fitted.

In: the address of a running engine that nobody else uses. Out: an `EngineMeasurement`, which
`trace.default_plan` turns into a load that fits. The engine is kept busy on all its slots with two
mixes in turn, long prompts with short answers and the reverse; seconds of engine per request are
then two linear equations in the two costs. Measures with the client and the stream that the load
uses, so what HTTP costs is in it.
"""

import asyncio
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Final

import aiohttp

from collector.clock import Clock, SystemClock
from foresail.demo.completion import (
    Endpoint,
    Outcome,
    RequestResult,
    client_session,
    send_completion,
)
from foresail.demo.errors import EngineUnmeasurable
from foresail.demo.trace import PlannedRequest, TokenCost

# The two cores are shared, so a slice may be disturbed. Medians over five turns ignore two of them.
_TURN_COUNT: Final = 5
_SINGLE_STREAM_SHARE: Final = 0.2  # of the time
_REQUEST_TIMEOUT_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineMeasurement:
    """What one replica can do when it is full, and when it is alone with one request."""

    prompt_seconds_per_token: float  # of the whole engine, all slots busy
    output_seconds_per_token: float
    single_stream_tokens_per_second: float  # output, while nothing else runs
    concurrency: int  # slots; requests served at the same time

    @property
    def cost(self) -> TokenCost:
        """The two costs as `trace` takes them."""
        return TokenCost(
            prompt_seconds_per_token=self.prompt_seconds_per_token,
            output_seconds_per_token=self.output_seconds_per_token,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Requests that are all alike."""

    prompt_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MixSample:
    """What one request of a mix occupied of a full engine."""

    mix: Mix
    seconds_per_request: float


# Short enough that a slice of a fraction of a second holds several of each.
_PROMPT_HEAVY: Final = Mix(prompt_tokens=256, output_tokens=2)
_OUTPUT_HEAVY: Final = Mix(prompt_tokens=8, output_tokens=32)


async def measure_engine(
    url: str, *, model: str, seconds: float, clock: Clock | None = None
) -> EngineMeasurement:
    """The engine's costs after `seconds` of load and a little more; 4 s are enough.

    `clock` is the host's by default.

    Raises: EngineUnmeasurable if it does not answer, or not in a way that two costs follow from.
    """
    if not seconds > 0:
        raise ValueError(f"seconds is {seconds}, must be more than 0")
    async with client_session() as session:
        probe = _Probe(url=url, model=model, session=session, clock=clock or SystemClock())
        slots = await probe.slot_count()
        await probe.complete(_OUTPUT_HEAVY)  # the first one warms up
        alone = await probe.single_stream_rate(seconds=seconds * _SINGLE_STREAM_SHARE)
        slice_seconds = seconds * (1 - _SINGLE_STREAM_SHARE) / (2 * _TURN_COUNT)
        samples = [
            await probe.full_engine_sample(mix, slots=slots, seconds=slice_seconds)
            for _ in range(_TURN_COUNT)
            for mix in (_PROMPT_HEAVY, _OUTPUT_HEAVY)
        ]
    cost = fitted_cost(samples)
    return EngineMeasurement(
        prompt_seconds_per_token=cost.prompt_seconds_per_token,
        output_seconds_per_token=cost.output_seconds_per_token,
        single_stream_tokens_per_second=alone,
        concurrency=slots,
    )


def fitted_cost(samples: Iterable[MixSample]) -> TokenCost:
    """The two costs that explain the median sample of each of two mixes.

    Solves `prompt_tokens * p + output_tokens * o = seconds_per_request` for both.
    Raises: EngineUnmeasurable if there are not two different mixes or a cost is not positive.
    """
    seconds_by_mix: dict[Mix, list[float]] = {}
    for sample in samples:
        seconds_by_mix.setdefault(sample.mix, []).append(sample.seconds_per_request)
    if len(seconds_by_mix) != 2:
        raise EngineUnmeasurable(f"two mixes are needed to fit two costs, got {seconds_by_mix}")
    (first, first_seconds), (second, second_seconds) = (
        (mix, statistics.median(seconds)) for mix, seconds in seconds_by_mix.items()
    )
    determinant = (
        first.prompt_tokens * second.output_tokens - second.prompt_tokens * first.output_tokens
    )
    if determinant == 0:
        raise EngineUnmeasurable(f"the mixes {first} and {second} do not differ in proportion")
    prompt_cost = (
        first_seconds * second.output_tokens - second_seconds * first.output_tokens
    ) / determinant
    output_cost = (
        first.prompt_tokens * second_seconds - second.prompt_tokens * first_seconds
    ) / determinant
    if prompt_cost <= 0 or output_cost <= 0:
        raise EngineUnmeasurable(
            f"the measured times ({first_seconds:.4f} s for {first}, {second_seconds:.4f} s for"
            f" {second}) give a cost that is not positive; is the engine used by others?"
        )
    return TokenCost(prompt_seconds_per_token=prompt_cost, output_seconds_per_token=output_cost)


class _Probe:
    """Completions against one engine, of which every one must succeed."""

    def __init__(
        self, *, url: str, model: str, session: aiohttp.ClientSession, clock: Clock
    ) -> None:
        self._endpoint = Endpoint(url=url, timeout_seconds=_REQUEST_TIMEOUT_SECONDS)
        self._model = model
        self._session = session
        self._clock = clock
        self._indexes = count()  # so that no two prompts are alike

    async def slot_count(self) -> int:
        """Requests the engine serves at the same time, as llama.cpp's `/props` says."""
        timeout = aiohttp.ClientTimeout(total=_REQUEST_TIMEOUT_SECONDS)
        try:
            async with self._session.get(f"{self._endpoint.url}/props", timeout=timeout) as answer:
                slots = (await answer.json())["total_slots"]
        except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError) as problem:
            raise EngineUnmeasurable(
                f"{self._endpoint.url}/props does not say how many slots the engine has"
                f" ({type(problem).__name__}); is it a llama.cpp server, and is it up?"
            ) from problem
        if not isinstance(slots, int) or slots < 1:
            raise EngineUnmeasurable(f"{self._endpoint.url}/props says {slots!r} slots")
        return slots

    async def complete(self, mix: Mix) -> RequestResult:
        """One answer of exactly the length that was asked for."""
        request = PlannedRequest(
            service=self._model,
            index=next(self._indexes),
            at_seconds=0.0,
            prompt_tokens=mix.prompt_tokens,
            output_tokens=mix.output_tokens,
        )
        result = await send_completion(
            request,
            endpoint=self._endpoint,
            session=self._session,
            clock=self._clock,
            started_monotonic_seconds=0.0,
        )
        if result.outcome is not Outcome.OK or result.output_tokens != mix.output_tokens:
            raise EngineUnmeasurable(
                f"{self._endpoint.url} answered a completion of {mix.output_tokens} tokens with"
                f" {result.output_tokens}, outcome {result.outcome.value}"
                f" ({result.reason or 'no reason given'})"
            )
        return result

    async def single_stream_rate(self, *, seconds: float) -> float:
        """Median output tokens per second of one request at a time."""
        end = self._clock.monotonic_seconds() + seconds
        rates: list[float] = []
        while not rates or self._clock.monotonic_seconds() < end:
            gaps = (await self.complete(_OUTPUT_HEAVY)).inter_token_seconds
            if sum(gaps) <= 0:
                raise EngineUnmeasurable(
                    f"{self._endpoint.url} sent {len(gaps) + 1} tokens at once; it does not stream"
                )
            rates.append(len(gaps) / sum(gaps))
        return statistics.median(rates)

    async def full_engine_sample(self, mix: Mix, *, slots: int, seconds: float) -> MixSample:
        """Engine time per request while as many as there are slots run all the time."""
        start = self._clock.monotonic_seconds()
        counts = await asyncio.gather(
            *(self._repeated(mix, until=start + seconds) for _ in range(slots))
        )
        elapsed = self._clock.monotonic_seconds() - start
        return MixSample(mix=mix, seconds_per_request=elapsed / sum(counts))

    async def _repeated(self, mix: Mix, *, until: float) -> int:
        completed = 0
        while completed == 0 or self._clock.monotonic_seconds() < until:
            await self.complete(mix)
            completed += 1
        return completed
