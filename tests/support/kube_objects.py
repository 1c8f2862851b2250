"""Kubernetes objects as the API server sends them, with only what matters to a test."""

from pathlib import Path
from typing import Any

import yaml

Raw = dict[str, Any]


def named(name: str, *, namespace: str | None = "default", **parts: Any) -> Raw:
    """An object with that name; keyword arguments are its top-level parts, merged into metadata too."""
    metadata: Raw = {"name": name, **parts.pop("metadata", {})}
    if namespace is not None:
        metadata["namespace"] = namespace
    return {"metadata": metadata, **parts}


def owned_by(kind: str, name: str, *, version: str) -> Raw:
    """Metadata that names the controller."""
    owner = {"apiVersion": version, "kind": kind, "name": name, "uid": "u", "controller": True}
    return {"ownerReferences": [owner]}


def write_kubeconfig(path: Path, *, server: str, token: str = "token") -> Path:
    """A kubeconfig for a server without TLS, or with its certificate trusted elsewhere."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": server}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    }
    path.write_text(yaml.safe_dump(content))
    return path
