"""Errors as OpenAI's clients expect them: `{"error": {"message", "type", "param", "code"}}`."""

import json
from enum import StrEnum


class Rejected(StrEnum):
    """Why a request was turned away before it counted for any service; the label of a counter."""

    UNKNOWN_MODEL = "unknown_model"
    UNAUTHORISED = "unauthorised"
    BAD_REQUEST = "bad_request"
    HOST = "host"
    TOO_LARGE = "too_large"


class RequestRejected(Exception):
    """A request that is answered with an error and belongs to no service."""

    def __init__(
        self, message: str, *, status: int, reason: Rejected | None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason  # None: not counted (wrong path or method)
        self.param = param


_TYPES = {
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


def error_body(message: str, *, status: int, code: str, param: str | None = None) -> bytes:
    """The JSON document for one error."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
    return json.dumps(
        {"error": {"message": message, "type": kind, "param": param, "code": code}}
    ).encode()


def error_event(message: str, *, status: int, code: str) -> bytes:
    """The same as a server-sent event, for a stream that has begun."""
    return b"data: " + error_body(message, status=status, code=code) + b"\n\n"
