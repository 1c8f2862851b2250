"""The command, environment and files of one engine process, filled in and checked.

In: a variant's `ProcessTarget` and the names of one replica. Out: a `Launch`, ready to be carried
out by `process`. Reads the file system (what is missing is told before anything starts) and changes
nothing.
"""

import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autoscaler.actuators.proc import REPLICA_VARIABLE, STATE_DIR_VARIABLE
from autoscaler.errors import StartFailed
from collector.model.catalogue import ProcessTarget
from collector.model.ids import ReplicaId

_INHERITED: Final = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_.*|TZ|TMPDIR|LD_LIBRARY_PATH|PYTHONPATH|"
    r"VIRTUAL_ENV|XDG_.*|SSL_CERT_.*|REQUESTS_CA_BUNDLE|(HTTPS?|NO|ALL)_PROXY|HF_HOME|"
    r"(CUDA|NVIDIA|NCCL|HIP|ROCR|ROCM)_.*|.*_NUM_THREADS",
    re.IGNORECASE,
)
"""What an engine gets of the controller's environment; secrets and everything else is declared."""
_PLACEHOLDER: Final = re.compile(r"\{(python|port|state_dir|replica_id)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """Everything needed to start one engine."""

    executable: str  # absolute path
    arguments: tuple[str, ...]  # with the program's name first
    environment: Mapping[str, str]


def checked_launch(
    target: ProcessTarget,
    *,
    replica_id: ReplicaId,
    port: int,
    state_dir: Path,
    base_environment: Mapping[str, str],
) -> Launch:
    """The launch of one replica. Raises StartFailed when a file or the command is not there."""
    names = {
        "python": sys.executable,
        "port": str(port),
        "state_dir": str(state_dir),
        "replica_id": replica_id,
    }
    for path in target.required_files:
        _check_file(filled(path, names), replica_id=replica_id)
    environment = {
        name: text for name, text in base_environment.items() if _INHERITED.fullmatch(name)
    }
    environment |= {name: filled(text, names) for name, text in target.environment.items()}
    environment |= {
        REPLICA_VARIABLE: replica_id,
        STATE_DIR_VARIABLE: str(state_dir),
        # setproctitle (vLLM uses it) writes over the environment block unless this is set, and
        # the ids above could no longer be read from /proc.
        "SPT_NOENV": "1",
    }
    arguments = tuple(filled(word, names) for word in target.command)
    return Launch(
        executable=_executable(arguments, replica_id=replica_id, path=environment.get("PATH")),
        arguments=arguments,
        environment=environment,
    )


def filled(text: str, names: Mapping[str, str]) -> str:
    """The text with {python}, {port}, {state_dir}, {replica_id} replaced; other braces stay."""
    return _PLACEHOLDER.sub(lambda match: names[match.group(1)], text)


def _check_file(path: str, *, replica_id: ReplicaId) -> None:
    try:
        if not Path(path).exists():
            raise StartFailed(
                f"{replica_id}: required file {path} does not exist; put it there or correct "
                "required_files in catalogue.yaml"
            )
    except OSError as error:
        raise StartFailed(f"{replica_id}: {path} cannot be looked at: {error.strerror}") from error


def _executable(arguments: tuple[str, ...], *, replica_id: ReplicaId, path: str | None) -> str:
    if not arguments:
        raise StartFailed(f"{replica_id}: command is empty; declare it in catalogue.yaml")
    found = shutil.which(arguments[0], path=path)
    if found is None:
        raise StartFailed(
            f"{replica_id}: command {arguments[0]!r} is not found or may not be executed; install "
            "it or give its whole path in catalogue.yaml"
        )
    return found
