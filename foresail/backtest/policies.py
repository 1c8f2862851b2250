"""The policies of a backtest by name: Foresail itself, and every baseline.

In: names as typed. Out: names in the order of reports, knobs, and policies ready for one replay.
"""

from collections.abc import Sequence
from typing import Final

from autoscaler.replay.baselines.peer_setup import PeerSetup
from autoscaler.replay.baselines.registry import BASELINES
from autoscaler.replay.decide_policy import DecidePolicy
from autoscaler.replay.view import Policy
from collector.errors import ConfigurationError

FORESAIL: Final = "foresail"
CLAIRVOYANT: Final = "clairvoyant"
ALL: Final = "all"
DEFAULT_NAMES: Final = (
    FORESAIL,
    "hpa_concurrency",
    "keda_waiting",
    "wva_v2",
    "dynamo_throughput_kalman",
    "work_rule",
    "static",
    CLAIRVOYANT,
)
"""Those most people run or could run, and the two bounds; `all` runs every one."""


def policy_names() -> tuple[str, ...]:
    """All there are, in the order of reports."""
    return (FORESAIL, *BASELINES)


def chosen_policies(asked: Sequence[str]) -> tuple[str, ...]:
    """Those asked for, none twice, and the clairvoyant they are compared with.

    Raises ConfigurationError for a name that is none.
    """
    known = policy_names()
    wanted = {name for each in asked for name in each.replace(",", " ").split()}
    for name in sorted(wanted - {ALL, *known}):
        raise ConfigurationError(
            f"--policy {name}: there is no such policy; give {ALL} or some of: {', '.join(known)}"
        )
    if not wanted:
        wanted = set(DEFAULT_NAMES)
    elif ALL in wanted:
        wanted = set(known)
    return tuple(name for name in known if name in wanted | {CLAIRVOYANT})


def knob_name(policy: str) -> str | None:
    """What is swept; None: nothing is."""
    return None if policy == FORESAIL else BASELINES[policy].knob


def knob_grid(policy: str, *, setup: PeerSetup) -> tuple[float | None, ...]:
    """The values to try; (None,) where there is no knob."""
    return (None,) if policy == FORESAIL else BASELINES[policy].grid(setup)


def default_knob(policy: str, *, setup: PeerSetup) -> float | None:
    """As documented."""
    return None if policy == FORESAIL else BASELINES[policy].default(setup)


def build_policy(policy: str, *, knob: float | None, setup: PeerSetup) -> Policy:
    """A fresh one: they remember, and serve one replay each."""
    if policy == FORESAIL:
        return DecidePolicy(setup.setting)
    baseline = BASELINES[policy]
    return baseline.build(setup, baseline.default(setup) if knob is None else knob)
