"""One real engine as a process: llama.cpp's own HTTP server, on loopback, one thread, one model.

    python -m foresail.demo.llama_server --port 8101 --model tiny.gguf --alias chat

In: a port, a GGUF file, a name. Out: an OpenAI-compatible endpoint with `/health` and `/metrics`,
one line on stdout when it listens, exit status 0 after SIGTERM or SIGINT. What cannot work is said
in one line on stderr and exit status 1 (2 for wrong use).

SIGTERM ends the process at once and cuts streams that run: to drain is the caller's part, who stops
routing first and waits. The process asks nothing of its parent and survives it. Must not import the
engine before the arguments are checked, so that a mistake is answered quickly.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from foresail.demo.errors import DemoError, EngineRejected, MissingPart

if TYPE_CHECKING:
    import xllamacpp

LOOPBACK: Final = "127.0.0.1"
_GGUF_MAGIC: Final = b"GGUF"
_EXIT_OK: Final = 0
_EXIT_REJECTED: Final = 1

_ATTENTION_PLAIN: Final = 0  # llama_flash_attn_type: disabled
_POOLING_MEAN: Final = 1  # llama_pooling_type
_LOG_SILENT: Final = 0
_LOG_INFO: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """What one engine process serves and where."""

    port: int
    model: Path
    alias: str  # the model name clients and `/v1/models` use
    slots: int  # requests decoded at the same time; more wait
    context_tokens: int  # longest prompt + answer of one request
    serves_embeddings: bool  # `/v1/embeddings` instead of completions
    logs: bool  # llama.cpp's own log on stderr


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; returns only where the engine could not start."""
    options = _parse(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        check_startable(options)
        server = _started(options)
    except DemoError as problem:
        sys.stderr.write(f"llama_server: {problem}\n")
        return _EXIT_REJECTED
    _announce(f"listening on {server.listening_address} model {options.alias}")
    stop.wait()
    # Destroying the server waits for every running stream's next keep-alive comment (30 s, the
    # stream stands still meanwhile), so the process leaves without it. Nothing is left to save.
    os._exit(_EXIT_OK)


def check_startable(options: EngineOptions) -> None:
    """Returns if the model file and the port look usable.

    Raises: EngineRejected, saying which of them is not and what to do. llama.cpp itself answers
    every one of these with the same sentence.
    """
    try:
        with options.model.open("rb") as file:
            magic = file.read(len(_GGUF_MAGIC))
    except OSError as problem:
        reason = problem.strerror or type(problem).__name__
        raise EngineRejected(f"cannot read the model file {options.model}: {reason}") from problem
    if magic != _GGUF_MAGIC:
        raise EngineRejected(
            f"{options.model} is not a GGUF file: it starts with {magic!r}, not {_GGUF_MAGIC!r}"
        )
    _check_port_free(options.port)


def _check_port_free(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as problem:
            raise EngineRejected(
                f"cannot listen on {LOOPBACK}:{port}: {problem.strerror};"
                " stop what listens there or choose another --port"
            ) from problem


def _started(options: EngineOptions) -> xllamacpp.Server:
    try:
        import xllamacpp
    except ImportError as missing:
        raise MissingPart("xllamacpp") from missing
    parameters = xllamacpp.CommonParams()
    _set_parameters(parameters, options=options)
    try:
        return xllamacpp.Server(parameters)
    except RuntimeError as problem:
        _check_port_free(options.port)
        raise EngineRejected(
            f"llama.cpp refused to serve {options.model} ({str(problem).rstrip('.')});"
            " the file may be cut short; --verbose shows llama.cpp's log"
        ) from problem


def _set_parameters(parameters: xllamacpp.CommonParams, *, options: EngineOptions) -> None:
    parameters.hostnames = [LOOPBACK]
    parameters.port = options.port
    parameters.model.path = str(options.model)
    parameters.model_alias = {options.alias}
    parameters.n_parallel = options.slots
    parameters.n_ctx = options.slots * options.context_tokens  # llama.cpp divides it by the slots
    parameters.cpuparams.n_threads = 1
    parameters.cpuparams_batch.n_threads = 1
    parameters.endpoint_metrics = True
    parameters.ui = False
    parameters.verbosity = _LOG_INFO if options.logs else _LOG_SILENT
    # llama.cpp's CPU kernel for flash attention is slower than plain attention once a prompt is
    # some hundred tokens long, which would make an answer's cost depend on its prompt.
    parameters.flash_attn_type = _ATTENTION_PLAIN
    _set_no_prompt_cache(parameters)
    if options.serves_embeddings:
        _set_embeddings(parameters, context_tokens=options.context_tokens)


def _set_no_prompt_cache(parameters: xllamacpp.CommonParams) -> None:
    """Every prompt is computed in full.

    A slot keeps the tokens of its last request and skips what the next one repeats, and up to 8 GiB
    of host memory keeps older ones. A repeated prompt would then cost nothing on the replica that
    saw it and its full price on a new one: the measured cost per token would depend on what was
    asked before, and memory would grow with the length of the demo.
    """
    parameters.cache_prompt = False
    parameters.cache_ram_mib = 0
    parameters.cache_idle_slots = False
    parameters.slot_prompt_similarity = 0.0


def _set_embeddings(parameters: xllamacpp.CommonParams, *, context_tokens: int) -> None:
    parameters.embedding = True
    parameters.pooling_type = _POOLING_MEAN
    parameters.n_batch = context_tokens  # pooling needs the whole input in one step
    parameters.n_ubatch = context_tokens


def _announce(line: str) -> None:
    """One line on stdout, if anybody still reads it."""
    with contextlib.suppress(OSError):  # a parent that is gone; an engine outlives its parent
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _parse(arguments: list[str] | None) -> EngineOptions:
    parser = argparse.ArgumentParser(
        prog="python -m foresail.demo.llama_server",
        description="llama.cpp's HTTP server on 127.0.0.1, one thread, metrics on.",
    )
    parser.add_argument("--port", type=_port, required=True, metavar="P")
    parser.add_argument("--model", type=Path, required=True, metavar="FILE.gguf")
    parser.add_argument("--alias", required=True, metavar="NAME", help="model name for clients")
    parser.add_argument("--slots", type=_count, default=2, help="requests at the same time")
    parser.add_argument("--context", type=_count, default=4096, help="tokens per request")
    parser.add_argument("--embedding", action="store_true", help="serve /v1/embeddings instead")
    parser.add_argument("--verbose", action="store_true", help="llama.cpp's log on stderr")
    given = parser.parse_args(arguments)
    return EngineOptions(
        port=given.port,
        model=given.model,
        alias=given.alias,
        slots=given.slots,
        context_tokens=given.context,
        serves_embeddings=given.embedding,
        logs=given.verbose,
    )


def _port(text: str) -> int:
    return _whole_number(text, smallest=1, largest=65535)


def _count(text: str) -> int:
    return _whole_number(text, smallest=1, largest=1 << 20)


def _whole_number(text: str, *, smallest: int, largest: int) -> int:
    if not text.isdecimal() or not smallest <= int(text) <= largest:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number from {smallest} to {largest}"
        )
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
