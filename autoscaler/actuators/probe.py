"""What work costs on one engine, measured on the engine itself in a few seconds.

In: the address of a verified engine nobody uses yet. Out: replica-seconds per prompt token and per
output token with every slot busy, or None. Two mixes are run in turn on all slots, one mostly
prompt, one mostly output: the seconds they take are two linear equations in the two costs. Used once
per variant, before its first replica gets traffic. Must not be used on a serving replica: it fills
every slot.
"""

import asyncio
import itertools
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp

from autoscaler.actuators.readiness import model_name
from collector.model.catalogue import CapacityPrior, Variant

_LIMIT_SECONDS: Final = 60.0  # for all of it, on an engine that is slow
_TURNS: Final = 3  # the median of three ignores one that was disturbed
_SLICE_SECONDS: Final = 0.4  # per turn and mix; at least one request per slot is finished anyway
_PROMPT_WORDS: Final = 150
_ANSWER_TOKENS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens that were computed, by the engine's own count."""

    prompt_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MixRun:
    """One mix on a full engine for a while."""

    seconds: float
    prompt_tokens: int
    output_tokens: int


async def measure_costs(*, base_url: str, variant: Variant) -> CapacityPrior | None:
    """The costs of one token each; None when the engine does not answer or does not count tokens."""
    # llama.cpp's server loses requests on connections that are used again: one for each.
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    try:
        async with (
            asyncio.timeout(_LIMIT_SECONDS),
            aiohttp.ClientSession(connector=connector) as session,
        ):
            name = await model_name(session, base_url=base_url, variant=variant)
            probe = _Probe(session=session, base_url=base_url, name=name, serial=itertools.count())
            return await probe.costs(slots=variant.slots)
    except (aiohttp.ClientError, TimeoutError, ValueError, TypeError):
        return None


def fitted_costs(turns: Sequence[tuple[MixRun, MixRun]]) -> CapacityPrior | None:
    """The median of what each turn's two runs give; None when no turn gives two sensible costs."""
    solved = [costs for first, second in turns if (costs := _solved(first, second)) is not None]
    if not solved:
        return None
    return CapacityPrior(
        prompt_seconds_per_token=statistics.median(prompt for prompt, _ in solved),
        output_seconds_per_token=statistics.median(output for _, output in solved),
    )


def _solved(first: MixRun, second: MixRun) -> tuple[float, float] | None:
    """(prompt, output) seconds per token with prompt x tokens + output x tokens = seconds in both."""
    determinant = (
        first.prompt_tokens * second.output_tokens - second.prompt_tokens * first.output_tokens
    )
    if determinant == 0:
        return None
    prompt = first.seconds * second.output_tokens - second.seconds * first.output_tokens
    output = first.prompt_tokens * second.seconds - second.prompt_tokens * first.seconds
    costs = prompt / determinant, output / determinant
    return costs if costs[0] >= 0 and costs[1] > 0 else None


@dataclass(slots=True, kw_only=True)
class _Probe:
    session: aiohttp.ClientSession
    base_url: str
    name: Mapping[str, str]
    serial: Iterator[int]  # makes every prompt start differently, so that no cache answers it

    async def costs(self, *, slots: int) -> CapacityPrior | None:
        await self._usage(words=1, output_tokens=_ANSWER_TOKENS)  # the first one warms up
        turns = []
        for _ in range(_TURNS):
            prompts = await self._run(slots=slots, words=_PROMPT_WORDS, output_tokens=2)
            answers = await self._run(slots=slots, words=1, output_tokens=_ANSWER_TOKENS)
            turns.append((prompts, answers))
        return fitted_costs(turns)

    async def _run(self, *, slots: int, words: int, output_tokens: int) -> MixRun:
        """As many requests at a time as there are slots, for one slice of time."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        until = started + _SLICE_SECONDS
        batches = await asyncio.gather(
            *(
                self._repeated(words=words, output_tokens=output_tokens, until=until)
                for _ in range(slots)
            )
        )
        usages = [usage for batch in batches for usage in batch]
        return MixRun(
            seconds=loop.time() - started,
            prompt_tokens=sum(usage.prompt_tokens for usage in usages),
            output_tokens=sum(usage.output_tokens for usage in usages),
        )

    async def _repeated(self, *, words: int, output_tokens: int, until: float) -> list[Usage]:
        loop = asyncio.get_running_loop()
        usages: list[Usage] = []
        while not usages or loop.time() < until:
            usages.append(await self._usage(words=words, output_tokens=output_tokens))
        return usages

    async def _usage(self, *, words: int, output_tokens: int) -> Usage:
        """What one completion took. Raises ClientError when refused, TypeError when not counted."""
        prompt = f"{next(self.serial)} " + "a " * (words - 1)
        body = {**self.name, "prompt": prompt, "max_tokens": output_tokens, "ignore_eos": True}
        async with self.session.post(f"{self.base_url}/v1/completions", json=body) as answer:
            answer.raise_for_status()
            content = await answer.json(content_type=None)
        usage = content.get("usage") if isinstance(content, dict) else None
        counts = usage if isinstance(usage, dict) else {}
        prompt_tokens, output = counts.get("prompt_tokens"), counts.get("completion_tokens")
        if not isinstance(prompt_tokens, int) or not isinstance(output, int):
            raise TypeError("the engine does not count tokens")
        return Usage(prompt_tokens=prompt_tokens, output_tokens=output)
