"""POST /v1/completions and /v1/chat/completions, whole and streamed.

In: HTTP requests. Out: answers and events. Headers `x-emulated-*` of whole answers tell the engine's own
times in seconds. The first error of an answer is a status; once a stream has begun it is an event,
as in vLLM, which is why a client cannot trust a 200.
"""

import json
from collections.abc import Mapping
from contextlib import aclosing

from aiohttp import web

from autoscaler.engine_model.costs import seconds
from autoscaler.engine_model.request import Completion
from foresail.emulate.answers import Answer
from foresail.emulate.bodies import read_body
from foresail.emulate.engine import Delta
from foresail.emulate.errors import AdmissionRefused, EmulateError
from foresail.emulate.server import Server, error_answer, error_body

_REFUSALS_PER_EVENT = 9
"""Every ninth refused stream is told in an event of a 200, as often as was recorded (43 of 400)."""


class Generation:
    """The two routes of one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._number = 0

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """Handler of /v1/completions."""
        return await self._serve(request, is_chat=False)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """Handler of /v1/chat/completions."""
        return await self._serve(request, is_chat=True)

    async def _serve(self, request: web.Request, *, is_chat: bool) -> web.StreamResponse:
        server = self._server
        asked = read_body(await request.read(), is_chat=is_chat, settings=server.engine.settings)
        self._number += 1
        answer = Answer(
            asked=asked,
            number=f"{self._number:016x}",
            model=server.engine.settings.model_name,
            created=int(server.clock.timestamp_seconds()),
        )
        server.load += 1
        try:
            server.admit()
            if asked.is_streamed:
                return await self._stream(request, answer=answer)
            return await self._whole(answer)
        except AdmissionRefused as error:
            if asked.is_streamed and self._is_told_in_stream():
                return await _refused_stream(request, error)
            return error_answer(error)
        except EmulateError as error:
            return error_answer(error)
        finally:
            server.load -= 1

    def _is_told_in_stream(self) -> bool:
        self._server.refused_stream_count += 1
        return self._server.refused_stream_count % _REFUSALS_PER_EVENT == 0

    async def _whole(self, answer: Answer) -> web.Response:
        last: Delta | None = None
        async with aclosing(self._server.engine.generate(answer.asked.order)) as deltas:
            async for delta in deltas:
                last = delta
        if last is None or last.completion is None or last.finish_reason is None:
            raise EmulateError("the answer has no end")
        done = last.completion
        body = answer.whole(token_count=done.output_tokens, finish_reason=last.finish_reason)
        return web.json_response(body, headers=_times(done))

    async def _stream(self, request: web.Request, *, answer: Answer) -> web.StreamResponse:
        stream = await _begin_stream(request)
        if (opening := answer.opening()) is not None:
            await _write(stream, opening)
        try:
            await self._write_deltas(stream, answer=answer)
        except EmulateError as error:
            await _write(stream, error_body(error)[1])
        await stream.write(b"data: [DONE]\n\n")
        return stream

    async def _write_deltas(self, stream: web.StreamResponse, *, answer: Answer) -> None:
        total = 0
        async with aclosing(self._server.engine.generate(answer.asked.order)) as deltas:
            async for delta in deltas:
                total += delta.token_count
                await _write(
                    stream,
                    answer.part(token_count=delta.token_count, finish_reason=delta.finish_reason),
                )
        if answer.asked.wants_usage:
            await _write(stream, answer.usage_part(total))


async def _refused_stream(request: web.Request, error: Exception) -> web.StreamResponse:
    stream = await _begin_stream(request)
    await _write(stream, error_body(error)[1])
    await stream.write(b"data: [DONE]\n\n")
    return stream


async def _begin_stream(request: web.Request) -> web.StreamResponse:
    stream = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await stream.prepare(request)
    return stream


async def _write(stream: web.StreamResponse, event: Mapping[str, object]) -> None:
    await stream.write(f"data: {json.dumps(event)}\n\n".encode())


def _times(done: Completion) -> dict[str, str]:
    """The engine's own times of one request."""
    arrival = done.arrival_picoseconds
    times = {
        "x-emulated-arrival-seconds": arrival,
        "x-emulated-e2e-seconds": done.finished_picoseconds - arrival,
    }
    if done.first_token_picoseconds is not None:
        times["x-emulated-ttft-seconds"] = done.first_token_picoseconds - arrival
    return {name: f"{seconds(value):.12f}" for name, value in times.items()}
