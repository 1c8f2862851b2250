"""How replicas come to be, as catalogue.yaml says it: a command of this box, or urls of others.

The part of the form under `target:`; see `schema` for the rest of the file.
"""

from typing import Literal

from pydantic import Field

from collector.catalogue_file.words import (
    BaseUrl,
    CommandWord,
    EnvironmentName,
    FileReference,
    HttpPath,
)
from collector.files.part import FilePart, quantity
from collector.files.units import Duration


class ProcessPart(FilePart):
    """Replicas that Foresail runs as processes of its own on this machine."""

    kind: Literal["process"] = Field(description="process: Foresail starts and stops a command.")
    command: list[CommandWord] = Field(
        min_length=1,
        description="The program and its arguments, one word each; no shell reads them. Filled in: "
        "{port} (the port to listen on, required), {python} (the interpreter Foresail runs with), "
        "{state_dir}, {replica_id}, {catalogue_dir} (the folder of this file).",
    )
    environment: dict[EnvironmentName, CommandWord] = Field(
        default_factory=dict,
        description="Variables added to the engine's environment. Default: none. No secrets here: "
        "name a file that holds them.",
    )
    required_files: list[FileReference] = Field(
        default_factory=list,
        description="Files that must exist before a start is tried, such as the model; relative ones "
        "are seen from the folder of this file. Default: none.",
    )
    health_path: HttpPath = Field(
        default="/health",
        description="Answers 200 once the engine can serve. Default /health, as vLLM and llama.cpp.",
    )
    startup_timeout: Duration = quantity(
        "5m",
        description="A start that takes longer has failed. Default 5m: large weights from a slow disk.",
    )
    drain_timeout: Duration = quantity(
        "2m",
        description="How long requests in flight may take to finish before a stop. Default 2m: a "
        "long answer of a slow model.",
    )
    terminate_timeout: Duration = quantity(
        "20s",
        description="From SIGTERM to SIGKILL. Default 20s: engines release device memory in that time.",
    )


class UrlPart(FilePart):
    """Replicas that somebody else runs. Foresail routes to them, and never starts or stops them."""

    kind: Literal["url"] = Field(description="url: somebody else runs the replicas.")
    urls: list[BaseUrl] = Field(
        min_length=1, description="One address per replica, such as http://127.0.0.1:8000."
    )


TargetPart = ProcessPart | UrlPart
