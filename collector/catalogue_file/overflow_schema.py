"""The form of a service's overflow in catalogue.yaml, what may be wrong with it, and its value.

In: the part `overflow` of a service. Out: problems, and the `Overflow` of the model. Pure; used by
`schema`, `checks` and `convert`. The key itself is never here: only the gateway reads its file.
"""

import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from collector.catalogue_file.words import ApiUrl, ClientModel, FileReference
from collector.files.part import FilePart
from collector.files.problem import KeyPath, Problem
from collector.model.catalogue import Overflow

MAX_REQUESTS = 100_000

Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class OverflowPart(FilePart):
    """An OpenAI-compatible API that takes what the service's own replicas cannot carry."""

    url: ApiUrl = Field(
        description="Where it is, such as https://api.example.com/v1; the gateway adds the path."
    )
    model: ClientModel = Field(description="The model's name there.")
    api_key_file: FileReference | None = Field(
        default=None,
        description="A file with the key and nothing else. It is read by the gateway, again when it "
        "changes, and never shown. Default: no key is sent.",
    )
    price_per_million_prompt_tokens: Price = Field(
        description="What a million prompt tokens cost, in the money of violation_price_per_minute."
    )
    price_per_million_output_tokens: Price = Field(
        description="What a million output tokens cost, in the same money."
    )
    max_requests_in_flight: Annotated[int, Field(ge=1, le=MAX_REQUESTS)] = Field(
        description="The most requests it has at once. They are what can be spent above "
        "max_cost_per_hour: a request that began is let finish."
    )
    max_cost_per_hour: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        description="The most it may cost in any hour; when it is reached nothing more goes there. "
        "No default: only the owner knows it."
    )


def overflow_problems(part: OverflowPart | None, path: KeyPath) -> Iterator[Problem]:
    """What is wrong between its keys."""
    if part is None:
        return
    if part.api_key_file is not None and part.url.startswith("http:") and not _is_here(part.url):
        yield Problem(
            line=None,
            path=(*path, "url"),
            message="would send the key unencrypted to another machine; use https",
        )
    if not part.price_per_million_prompt_tokens and not part.price_per_million_output_tokens:
        yield Problem(
            line=None,
            path=path,
            message="has two prices of 0, so max_cost_per_hour would never hold; give a price",
        )


def overflow_of(part: OverflowPart | None, *, folder: Path) -> Overflow | None:
    """The value; a relative file reference is seen from `folder`."""
    if part is None:
        return None
    key = part.api_key_file
    return Overflow(
        base_url=part.url,
        model=part.model,
        api_key_file=None if key is None else _file(key, folder=folder),
        price_per_million_prompt_tokens=part.price_per_million_prompt_tokens,
        price_per_million_output_tokens=part.price_per_million_output_tokens,
        max_requests_in_flight=part.max_requests_in_flight,
        max_cost_per_hour=part.max_cost_per_hour,
    )


def _file(typed: str, *, folder: Path) -> str:
    return str(folder / typed.replace("{catalogue_dir}", str(folder)))


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
