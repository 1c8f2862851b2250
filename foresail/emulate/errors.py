"""Errors of emulated engines.

EmulateError
├── EngineFailed        a request ends with HTTP 500, or an error event once its stream has begun
└── AdmissionRefused    the queue limit; HTTP 503, or an error event in a stream
"""


class EmulateError(Exception):
    """Anything this package raises on purpose."""


class EngineFailed(EmulateError):
    """The engine cannot finish what it took."""


class AdmissionRefused(EmulateError):
    """More requests than the engine was told to hold."""
