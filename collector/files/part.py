"""The base of every pydantic model of a file that people write.

Unknown keys are errors, nothing is converted silently ("8080" is not 8080), defaults go through the
same rules as typed values. Models live at the edge only: a reader turns them into dataclasses.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class FilePart(BaseModel):
    """One mapping of a file."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, validate_default=True, allow_inf_nan=False
    )


def choice(default: str, *, description: str) -> Any:  # noqa: ANN401  as Field itself
    """A key whose value is a word of a closed list, given in the file as text."""
    return Field(default=default, strict=False, description=description)


def required_choice(*, description: str) -> Any:  # noqa: ANN401  as Field itself
    """Like `choice`, for a key that must be there."""
    return Field(strict=False, description=description)


def quantity(default: str, *, description: str) -> Any:  # noqa: ANN401  as Field itself
    """A key with a unit whose default is written as an owner would write it, e.g. 5m."""
    return Field(default=default, description=description)
