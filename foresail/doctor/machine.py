"""What the checks want to know of the machine, as a Protocol, and the real one.

Checks take a `Machine`, so that their rules can be tried on machines that do not exist. Everything
here reads; nothing is created, bound for longer than a moment, or started.
"""

import http.client
import importlib.util
import json
import os
import shutil
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Protocol

from collector.model.device import DeviceSurvey

TIMEOUT_SECONDS = 2.0
MAX_ANSWER_BYTES = 2**20
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  compared with, not listened on


@dataclass(frozen=True, slots=True, kw_only=True)
class HostMemory:
    """Of the whole machine."""

    total_bytes: int
    available_bytes: int  # what programs could still get without swapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server said."""

    status: int
    body: str  # decoded, bounded


class Machine(Protocol):
    """The machine under examination."""

    def memory(self) -> HostMemory | None:
        """None where it cannot be told."""
        ...

    def devices(self) -> DeviceSurvey:
        """One look at the accelerators, within the probe's timeout."""
        ...

    def may_bind(self, *, host: str, port: int) -> str | None:
        """None when a server could listen there, else the reason why not."""
        ...

    def answer(self, *, host: str, port: int, path: str) -> Answer | None:
        """What a plain HTTP server there answers; None when none does."""
        ...

    def program(self, word: str) -> Path | None:
        """The file a command's first word runs; None when there is none that may be run."""
        ...

    def has_module(self, name: str) -> bool:
        """Whether Python could import it."""
        ...

    def module_file(self, name: str) -> Path | None:
        """The file of an importable package."""
        ...

    def module_owners(self, name: str) -> frozenset[str]:
        """Distributions that claim to have installed this package; none for editable ones."""
        ...


class ThisMachine:
    """The machine we run on."""

    def __init__(
        self, *, environ: Mapping[str, str], read_devices: Callable[[], DeviceSurvey]
    ) -> None:
        """`read_devices` asks the device library; it is called when a check wants to know."""
        self._path = environ.get("PATH")
        self._read_devices = read_devices

    def memory(self) -> HostMemory | None:
        """From /proc/meminfo."""
        try:
            lines = Path("/proc/meminfo").read_text().splitlines()
            kibibytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if ":" in line}
            return HostMemory(
                total_bytes=kibibytes["MemTotal"] * 1024,
                available_bytes=kibibytes["MemAvailable"] * 1024,
            )
        except (OSError, ValueError, KeyError, IndexError):
            return None

    def devices(self) -> DeviceSurvey:
        """As the device library tells."""
        return self._read_devices()

    def may_bind(self, *, host: str, port: int) -> str | None:
        """Binds for a moment, with the option servers use to follow one that just ended."""
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            with socket.socket(family, kind, protocol) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(address)
        except OSError as error:
            return error.strerror or str(error)
        return None

    def answer(self, *, host: str, port: int, path: str) -> Answer | None:
        """One GET with a short timeout."""
        target = ANY_ADDRESS.get(host, host)
        connection = http.client.HTTPConnection(target, port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read(MAX_ANSWER_BYTES).decode(errors="replace")
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
        return Answer(status=answer.status, body=body)

    def program(self, word: str) -> Path | None:
        """As the shell would find it."""
        found = shutil.which(sys.executable if word == "{python}" else word, path=self._path)
        return Path(found) if found else None

    def has_module(self, name: str) -> bool:
        """Looks for it without importing it."""
        return importlib.util.find_spec(name) is not None

    def module_file(self, name: str) -> Path | None:
        """Where Python finds it."""
        found = importlib.util.find_spec(name)
        return Path(os.path.realpath(found.origin)) if found and found.origin else None

    def module_owners(self, name: str) -> frozenset[str]:
        """From the metadata of installed distributions."""
        return frozenset(packages_distributions().get(name, ()))


def says_json(answer: Answer, key: str) -> bool:
    """Whether the answer is a JSON object that has `key`."""
    try:
        body = json.loads(answer.body)
    except ValueError:
        return False
    return isinstance(body, dict) and key in body
