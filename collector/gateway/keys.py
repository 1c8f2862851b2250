"""Who may use the gateway: a file of hashed keys, each naming a tenant.

Keys must be long and random (`secrets.token_urlsafe(32)`): a plain SHA-256 protects those and
nothing shorter. Neither keys nor hashes are logged.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from pathlib import Path

from collector.errors import ConfigurationError

_LINE = re.compile(r"([A-Za-z0-9_.\-]{1,64}):([0-9a-f]{64})")


def hash_key(key: str) -> str:
    """What the keys file holds for `key`: its SHA-256 in hex."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """All keys in force."""

    tenants: tuple[tuple[str, str], ...]  # (hash of the key, tenant)

    def tenant(self, authorization: str | None) -> str | None:
        """Whose key the header `Bearer KEY` carries; None when nobody's.

        Takes the same time for every wrong key: hashes are compared in constant time, all of them.
        """
        scheme, _, key = (authorization or "").partition(" ")
        presented = hash_key(key.strip())
        found = None
        for known, tenant in self.tenants:
            if hmac.compare_digest(known, presented):
                found = tenant
        return found if scheme.lower() == "bearer" else None


def read_keys(path: Path) -> KeyRing:
    """The keys in `path`: lines `tenant:sha256hex`, blank ones and those with `#` ignored.

    Raises ConfigurationError naming file and line; the line's content is not repeated.
    """
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"keys file {path} cannot be read: {error}") from error
    tenants = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line.strip())
        if match is None:
            raise ConfigurationError(
                f"{path}:{number}: expected `tenant:sha256hex` with 64 lowercase hex digits"
            )
        tenants.append((match[2], match[1]))
    if not tenants:
        raise ConfigurationError(f"keys file {path} has no key; add a line `tenant:sha256hex`")
    return KeyRing(tenants=tuple(tenants))
