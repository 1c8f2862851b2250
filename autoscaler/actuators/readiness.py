"""Whether an engine really serves: healthy, and one token given.

In: the engine's address, its process and variant. Out: nothing, or `StartFailed` in one line. Used
by `process`. Must not start or end anything, and believes no health answer without a token.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp

from autoscaler.errors import StartFailed
from autoscaler.ports import EngineHandle
from collector.model.catalogue import ProcessTarget, Variant

_HEALTH_TIMEOUT_SECONDS: Final = 2.0
_FIRST_PAUSE_SECONDS: Final = 0.05
_LONGEST_PAUSE_SECONDS: Final = 1.0
_NOT_OFFERED: Final = frozenset({400, 404, 405, 501})
"""What engines answer on a route, or for a task, that this model does not have."""


async def wait_until_ready(
    *,
    base_url: str,
    handle: EngineHandle,
    variant: Variant,
    target: ProcessTarget,
    last_words: Callable[[], str],
) -> None:
    """Returns once the engine is healthy and has given a token.

    Raises StartFailed as soon as the process ends, and after `startup_timeout_seconds` otherwise.
    """
    limit_seconds = target.startup_timeout_seconds
    ended = asyncio.create_task(handle.wait_ended(timeout_seconds=limit_seconds))
    asking = _Asking(base_url=base_url, variant=variant, health_path=target.health_path)
    serving = asyncio.create_task(asking.until_token())
    try:
        await asyncio.wait(
            {ended, serving}, timeout=limit_seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if not handle.is_alive():
            raise StartFailed(f"the engine ended before it was ready: {last_words()}")
        if not serving.done():
            raise StartFailed(
                f"the engine was not ready within startup_timeout_seconds = {limit_seconds:g}: "
                f"{asking.last_answer}; its last line: {last_words()}"
            )
        serving.result()
    finally:
        for task in (ended, serving):
            task.cancel()
        await asyncio.gather(ended, serving, return_exceptions=True)


@dataclass(slots=True, kw_only=True)
class _Asking:
    """The questions put to one engine, and what it said last."""

    base_url: str
    variant: Variant
    health_path: str
    last_answer: str = "it was not reached"

    async def until_token(self) -> None:
        """Returns after the first token; asks again, ever slower, until then."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_HEALTH_TIMEOUT_SECONDS)
        # llama.cpp's server loses requests on connections that are used again: one for each.
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
            pause = _FIRST_PAUSE_SECONDS
            while not await self._serves(session):
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)

    async def _serves(self, session: aiohttp.ClientSession) -> bool:
        try:
            return await self._is_healthy(session) and await self._gives_token(session)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self.last_answer = f"{type(error).__name__}: {error}".strip(": ")
            return False

    async def _is_healthy(self, session: aiohttp.ClientSession) -> bool:
        limit = aiohttp.ClientTimeout(total=_HEALTH_TIMEOUT_SECONDS)
        async with session.get(self.base_url + self.health_path, timeout=limit) as answer:
            self.last_answer = f"{self.health_path} answered {answer.status}"
            return answer.status == 200

    async def _gives_token(self, session: aiohttp.ClientSession) -> bool:
        name = await model_name(session, base_url=self.base_url, variant=self.variant)
        body = {**name, "prompt": "a", "max_tokens": 1}
        status = await self._post(session, path="/v1/completions", body=body, proof="choices")
        if status in _NOT_OFFERED:
            body = {**name, "input": "a"}
            status = await self._post(session, path="/v1/embeddings", body=body, proof="data")
        return status == 200

    async def _post(
        self, session: aiohttp.ClientSession, *, path: str, body: Mapping[str, object], proof: str
    ) -> int | None:
        """The status; None for a 200 whose content does not prove that anything was computed."""
        async with session.post(self.base_url + path, json=body) as answer:
            self.last_answer = f"{path} answered {answer.status}"
            if answer.status != 200:
                return answer.status
            content = await answer.json(content_type=None)
        if isinstance(content, dict) and content.get(proof):
            return answer.status
        self.last_answer = f"{path} answered 200 without {proof}"
        return None


async def model_name(
    session: aiohttp.ClientSession, *, base_url: str, variant: Variant
) -> Mapping[str, str]:
    """{"model": name} as the engine knows it; empty when it does not say, one model then serves."""
    if variant.upstream_model is not None:
        return {"model": variant.upstream_model}
    limit = aiohttp.ClientTimeout(total=_HEALTH_TIMEOUT_SECONDS)
    async with session.get(base_url + "/v1/models", timeout=limit) as answer:
        if answer.status != 200:
            return {}
        content = await answer.json(content_type=None)
    models = content.get("data") if isinstance(content, dict) else None
    first = models[0] if isinstance(models, list) and models else None
    name = first.get("id") if isinstance(first, dict) else None
    return {"model": name} if isinstance(name, str) else {}
