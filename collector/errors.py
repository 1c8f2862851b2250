"""Errors of the collector.

CollectorError
├── ConfigurationError        the owner must change a file or a flag; never retried
│   └── CatalogueError        catalogue.yaml: says file, line, key, value and what is allowed
├── SourceError
│   ├── TransientSourceError  timeout, refused connection: the next tick tries again
│   └── PayloadError          the source answered something that cannot be parsed
└── GatewayError              the gateway cannot start or cannot be reached
"""


class CollectorError(Exception):
    """Anything this package raises on purpose."""


class ConfigurationError(CollectorError):
    """The owner must act: the message says what, which value, what is allowed, what next."""


class CatalogueError(ConfigurationError):
    """The catalogue file cannot be used."""


class SourceError(CollectorError):
    """A source gave no usable answer."""


class TransientSourceError(SourceError):
    """May be tried again at the next tick."""


class PayloadError(SourceError):
    """The answer cannot be parsed."""


class GatewayError(CollectorError):
    """The gateway cannot start or cannot be reached."""
