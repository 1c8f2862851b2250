"""The words of catalogue.yaml that have rules of their own: names, model names, urls, placeholders.

Each function takes what was typed and returns it (or its normal form), or raises ValueError with
what is allowed. Pure; used by the schema.
"""

import re
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

PLACEHOLDERS: Final = ("port", "python", "state_dir", "replica_id", "catalogue_dir")
"""What a command may hold in braces; `catalogue_dir` is filled in by the reader of the file."""

_NAME: Final = r"[a-z0-9]([a-z0-9_.-]{0,61}[a-z0-9])?"
_MODEL: Final = r"[!-~]{1,200}"
_ACCELERATOR: Final = r"[0-9]{1,3}|(GPU|MIG)-[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_LABEL_NAME: Final = r"[a-zA-Z_][a-zA-Z0-9_]*"
_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")
_ENVIRONMENT_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def name(typed: str) -> str:
    """A name that is safe as metric label, file name and key."""
    if not re.fullmatch(_NAME, typed):
        raise ValueError(
            "must be at most 63 lower-case letters, digits, '-', '_' or '.', with a letter or digit "
            "at both ends"
        )
    return typed


def client_model(typed: str) -> str:
    """A model's name as clients send it."""
    if not re.fullmatch(_MODEL, typed):
        raise ValueError("must be 1 to 200 printable ASCII characters without spaces")
    return typed


def base_url(typed: str) -> str:
    """http(s)://host[:port], without the slash at the end."""
    try:
        parts = urlsplit(typed)
        port = parts.port
    except ValueError:
        port, parts = None, urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ValueError("must be a url such as http://127.0.0.1:8000")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or password")
    if (
        parts.path.strip("/")
        or parts.query
        or parts.fragment
        or not typed.isprintable()
        or " " in typed
    ):
        raise ValueError("must end after host and port; the gateway adds the path (/v1/...)")
    return f"{parts.scheme}://{parts.netloc}"


def api_url(typed: str) -> str:
    """http(s)://host[:port][/prefix] of an API, without the /v1 that its own pages end it with."""
    parts = urlsplit(typed)
    prefix = parts.path.rstrip("/").removesuffix("/v1")
    if not re.fullmatch(r"(/[A-Za-z0-9_.~-]+)*", prefix):
        raise ValueError("must have a plain path, such as https://api.example.com/openai/v1")
    return base_url(parts._replace(path="").geturl()) + prefix


def command_word(typed: str) -> str:
    """One word of a command, with no other {placeholder} than those that are filled in."""
    if "\0" in typed:
        raise ValueError("must not hold a NUL character")
    unknown = [found for found in _PLACEHOLDER.findall(typed) if found not in PLACEHOLDERS]
    if unknown:
        known = ", ".join(f"{{{each}}}" for each in PLACEHOLDERS)
        raise ValueError(f"has {{{unknown[0]}}}, which nothing fills in; there are {known}")
    return typed


def file_reference(typed: str) -> str:
    """A path, absolute or from the catalogue's folder."""
    if not typed or "\0" in typed:
        raise ValueError("must be a path")
    if typed.startswith("~"):
        raise ValueError("must be absolute or from the catalogue's folder; ~ is not filled in")
    return command_word(typed)


def http_path(typed: str) -> str:
    """A path on the engine's server."""
    if not re.fullmatch(r"/[!-~]{0,200}", typed):
        raise ValueError("must be a path such as /health")
    return typed


def environment_name(typed: str) -> str:
    """The name of an environment variable; FORESAIL_ ones are Foresail's own."""
    if not _ENVIRONMENT_NAME.fullmatch(typed) or typed.startswith("FORESAIL_"):
        raise ValueError("must be letters, digits and '_', and not begin with FORESAIL_")
    return typed


def accelerator(typed: object) -> str:
    """The UUID of an accelerator or of one of its slices, or its index as text."""
    text = str(typed) if isinstance(typed, int) and not isinstance(typed, bool) else typed
    if not isinstance(text, str) or not re.fullmatch(_ACCELERATOR, text):
        raise ValueError(
            "must be an index such as 0, or a UUID such as GPU-1a2b… of `nvidia-smi -L`"
        )
    return text


def label_name(typed: str) -> str:
    """The name of a label in Prometheus."""
    if not re.fullmatch(_LABEL_NAME, typed):
        raise ValueError("must be a label's name: letters, digits and '_', such as namespace")
    return typed


Name = Annotated[
    str, AfterValidator(name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME}$"})
]
ClientModel = Annotated[
    str, AfterValidator(client_model), WithJsonSchema({"type": "string", "pattern": f"^{_MODEL}$"})
]
BaseUrl = Annotated[
    str,
    AfterValidator(base_url),
    WithJsonSchema({"type": "string", "pattern": "^https?://[^/]+/?$"}),
]
ApiUrl = Annotated[
    str,
    AfterValidator(api_url),
    WithJsonSchema({"type": "string", "pattern": "^https?://[^/]+(/[A-Za-z0-9_.~-]+)*/?$"}),
]
CommandWord = Annotated[str, AfterValidator(command_word)]
FileReference = Annotated[str, AfterValidator(file_reference)]
HttpPath = Annotated[str, AfterValidator(http_path)]
Accelerator = Annotated[
    str,
    BeforeValidator(accelerator),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": 999},
                {"type": "string", "pattern": f"^({_ACCELERATOR})$"},
            ]
        }
    ),
]
LabelName = Annotated[
    str,
    AfterValidator(label_name),
    WithJsonSchema({"type": "string", "pattern": f"^{_LABEL_NAME}$"}),
]
LabelValue = Annotated[str, Field(min_length=1, max_length=500)]
EnvironmentName = Annotated[str, AfterValidator(environment_name)]
