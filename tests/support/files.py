"""Valid files that people write, as text that a test can break in one place."""

from pathlib import Path

CATALOGUE = """\
version: 1
authority: {mode: active, scale: auto}
pools:
  desk: {kind: unified, capacity: 24GiB, reserve: 4GiB}
tiers:
  gold: {violation_price_per_minute: 10}
services:
  chat:
    models: [chat, my-chat]
    owner: me
    tier: gold
    objectives:
      - {sli: time_to_first_token, threshold: 1s, target: 99%, window: 28d}
    variants:
      llama:
        engine: llama_cpp
        pool: desk
        memory: 2GiB
        slots: 4
        min_replicas: 1
        max_replicas: 3
        cost_per_hour: 0.1
        target:
          kind: process
          command: [llama-server, --port, "{port}"]
          required_files: [models/chat.gguf]
  embed:
    tier: gold
    objectives:
      - {sli: availability, target: 0.99}
    variants:
      fixed:
        engine: vllm
        pool: desk
        memory: 1GiB
        slots: 8
        target: {kind: url, urls: ["http://127.0.0.1:8000"]}
"""


def broken(old: str, new: str) -> bytes:
    """The valid catalogue with one place changed; the place must be there exactly once."""
    assert CATALOGUE.count(old) == 1, old
    return CATALOGUE.replace(old, new).encode()


def write_desk(folder: Path, *, settings: str = "", catalogue: str = CATALOGUE) -> Path:
    """foresail.yaml and catalogue.yaml in a folder; returns the path of the settings."""
    (folder / "catalogue.yaml").write_text(catalogue)
    path = folder / "foresail.yaml"
    path.write_text(settings)
    return path
