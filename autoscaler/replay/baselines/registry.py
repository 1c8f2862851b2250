"""All baselines by name: how to build one, its knob, the documented default, and the values to sweep.

In: a `PeerSetup`. Out: policies for the replay. Laws with sources and simplifications are in
docs/reference/baselines.md. Each call of `build` gives a fresh policy: they remember.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from autoscaler.replay.baselines.aibrix import AibrixApa, AibrixApaAsCoded
from autoscaler.replay.baselines.dynamo_load import DynamoLoad
from autoscaler.replay.baselines.dynamo_predictors import PredictorKind
from autoscaler.replay.baselines.dynamo_throughput import DynamoThroughput
from autoscaler.replay.baselines.hpa import HpaConcurrency, HpaKv
from autoscaler.replay.baselines.hpa_law import PACED
from autoscaler.replay.baselines.keda import KedaWaiting
from autoscaler.replay.baselines.knative import TARGET_UTILISATION_RATIO, KnativeKpa
from autoscaler.replay.baselines.known import Clairvoyant, Static, WorkRule
from autoscaler.replay.baselines.kubeai import KubeAi
from autoscaler.replay.baselines.llmd import LlmdEppSaturation, LlmdSloKeda
from autoscaler.replay.baselines.peer_setup import PeerSetup
from autoscaler.replay.baselines.phpa import PhpaHoltWinters
from autoscaler.replay.baselines.ray_serve import RayServe
from autoscaler.replay.baselines.sageserve import SageServe
from autoscaler.replay.baselines.wva_v1 import KV_SPARE_TRIGGER, WvaV1
from autoscaler.replay.baselines.wva_v2 import WvaV2, capacity_before_saturation
from autoscaler.replay.view import Policy

Values = Callable[[PeerSetup], tuple[float, ...]]
SHARES: Final = (0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85)
"""Of the rate one replica sustains: where the sweeps of targets in requests or KV use lie."""
PEAK_SHARES: Final = (0.7, 0.8, 0.87, 0.9, 0.93, 0.97)
"""The same for a law that reads the peak of a minute, which lies above the mean."""
SCALE_SHARES: Final = (0.15, 0.2, 0.25, 0.3, 0.4, 0.55, 0.75)
"""The same for laws without headroom of their own: they are told tighter objectives instead."""
STATIC_UTILISATION: Final = 0.8
STATIC_FACTORS: Final = (0.4, 0.6, 0.8, 1.25, 1.5, 2.0, 3.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """One policy of the comparison."""

    name: str
    knob: str  # the parameter that is swept
    build: Callable[[PeerSetup, float], Policy]  # from a setup and a value of the knob
    default: Callable[[PeerSetup], float]  # as documented, or as the reference page says
    swept: Values
    interval_seconds: float
    is_adaptive: bool = True  # neither a fixed count nor one that knows the future

    def grid(self, setup: PeerSetup) -> tuple[float, ...]:
        """Values to sweep, the default among them; rising, none twice."""
        return tuple(sorted({self.default(setup), *self.swept(setup)}))


def _always(*values: float) -> Values:
    return lambda _: values


def _is(value: float) -> Callable[[PeerSetup], float]:
    return lambda _: value


def _requests(setup: PeerSetup) -> tuple[float, ...]:
    return tuple(float(setup.requests_at(share)) for share in SHARES)


def _kv_ratios(setup: PeerSetup) -> tuple[float, ...]:
    return tuple(round(setup.kv_ratio_at(share), 3) for share in SHARES)


def _soft_limits(setup: PeerSetup) -> tuple[float, ...]:
    return tuple(round(each / TARGET_UTILISATION_RATIO, 1) for each in _requests(setup))


def _kv_thresholds(setup: PeerSetup) -> tuple[float, ...]:
    return tuple(round(each + KV_SPARE_TRIGGER, 3) for each in _kv_ratios(setup))


def _token_utilisations(setup: PeerSetup) -> tuple[float, ...]:
    capacity = capacity_before_saturation(
        setup.setting.limits, lengths=(setup.mix.prompt_tokens, setup.mix.output_tokens)
    )
    requests = (setup.requests_at(share) for share in PEAK_SHARES)
    in_use = (each * setup.mix.context_tokens for each in requests)
    return tuple(round(each / capacity, 3) for each in in_use)


def _share_of_limit(setup: PeerSetup) -> float:
    return float(setup.requests_at(0.7))


def _static_replicas(setup: PeerSetup) -> float:
    return float(setup.replicas_for_peak(STATIC_UTILISATION))


def _objective_scales(setup: PeerSetup) -> tuple[float, ...]:
    return tuple(round(setup.objective_scale_at(share), 3) for share in SCALE_SHARES)


def _dynamo_throughput(kind: PredictorKind) -> Baseline:
    return Baseline(
        name=f"dynamo_throughput_{kind}",
        knob="objective_scale",
        build=lambda setup, knob: DynamoThroughput(
            setting=setup.setting, predictor=kind, objective_scale=knob
        ),
        default=_is(1.0),
        swept=_objective_scales,
        interval_seconds=180.0,
    )


_KNATIVE_DELAY_SECONDS: Final = 300.0

_ALL: Final = (
    Baseline(
        name="hpa_concurrency",
        knob="target_requests",
        build=lambda setup, knob: HpaConcurrency(setting=setup.setting, target_requests=knob),
        default=_share_of_limit,
        swept=_requests,
        interval_seconds=15.0,
    ),
    Baseline(
        name="hpa_concurrency_paced",
        knob="target_requests",
        build=lambda setup, knob: HpaConcurrency(
            setting=setup.setting, target_requests=knob, behaviour=PACED
        ),
        default=_share_of_limit,
        swept=_requests,
        interval_seconds=15.0,
    ),
    Baseline(
        name="hpa_kv",
        knob="target_kv_ratio",
        build=lambda setup, knob: HpaKv(setting=setup.setting, target_kv_ratio=knob),
        default=_is(0.7),
        swept=_kv_ratios,
        interval_seconds=15.0,
    ),
    Baseline(
        name="keda_waiting",
        knob="threshold_requests",
        build=lambda setup, knob: KedaWaiting(setting=setup.setting, threshold_requests=knob),
        default=_is(5.0),
        swept=_always(1.0, 2.0, 3.0, 10.0, 20.0, 50.0),
        interval_seconds=15.0,
    ),
    Baseline(
        name="knative_kpa",
        knob="target_requests",
        build=lambda setup, knob: KnativeKpa(setting=setup.setting, target_requests=knob),
        default=_is(100.0),
        swept=_soft_limits,
        interval_seconds=2.0,
    ),
    Baseline(
        name="knative_kpa_delayed",
        knob="target_requests",
        build=lambda setup, knob: KnativeKpa(
            setting=setup.setting,
            target_requests=knob,
            scale_down_delay_seconds=_KNATIVE_DELAY_SECONDS,
        ),
        default=_is(100.0),
        swept=_soft_limits,
        interval_seconds=2.0,
    ),
    Baseline(
        name="aibrix_apa",
        knob="target_kv_ratio",
        build=lambda setup, knob: AibrixApa(setting=setup.setting, target_kv_ratio=knob),
        default=_is(0.5),
        swept=_kv_ratios,
        interval_seconds=10.0,
    ),
    Baseline(
        name="aibrix_as_coded",
        knob="target_kv_ratio",
        build=lambda setup, knob: AibrixApaAsCoded(setting=setup.setting, target_kv_ratio=knob),
        default=_is(0.5),
        swept=_kv_ratios,
        interval_seconds=10.0,
    ),
    Baseline(
        name="wva_v1",
        knob="kv_threshold_ratio",
        build=lambda setup, knob: WvaV1(setting=setup.setting, kv_threshold_ratio=knob),
        default=_is(0.8),
        swept=_kv_thresholds,
        interval_seconds=15.0,
    ),
    Baseline(
        name="wva_v2",
        knob="up_utilisation",
        build=lambda setup, knob: WvaV2(setting=setup.setting, up_utilisation=knob),
        default=_is(0.85),
        swept=_token_utilisations,
        interval_seconds=15.0,
    ),
    Baseline(
        name="llmd_slo_keda",
        knob="up_signal",
        build=lambda setup, knob: LlmdSloKeda(setting=setup.setting, up_signal=knob),
        default=_is(0.55),
        swept=_always(0.2, 0.25, 0.3, 0.35, 0.45, 0.7, 1.0),
        interval_seconds=15.0,
    ),
    Baseline(
        name="llmd_epp_saturation",
        knob="target_kv_ratio",
        build=lambda setup, knob: LlmdEppSaturation(setting=setup.setting, target_kv_ratio=knob),
        default=_is(0.7),
        swept=_kv_ratios,
        interval_seconds=15.0,
    ),
    *(_dynamo_throughput(kind) for kind in PredictorKind),
    Baseline(
        name="dynamo_load",
        knob="objective_scale",
        build=lambda setup, knob: DynamoLoad(setting=setup.setting, objective_scale=knob),
        default=_is(1.0),
        swept=_objective_scales,
        interval_seconds=5.0,
    ),
    Baseline(
        name="phpa_holt_winters",
        knob="target_requests",
        build=lambda setup, knob: PhpaHoltWinters(setting=setup.setting, target_requests=knob),
        default=_share_of_limit,
        swept=_requests,
        interval_seconds=15.0,
    ),
    Baseline(
        name="sageserve",
        knob="planned_utilisation",
        build=lambda setup, knob: SageServe(
            setting=setup.setting, work=setup.work, planned_utilisation=knob
        ),
        default=_is(0.5),
        swept=_always(0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 0.8),
        interval_seconds=60.0,
    ),
    Baseline(
        name="ray_serve",
        knob="target_requests",
        build=lambda _, knob: RayServe(target_requests=knob),
        default=_is(2.0),
        swept=_requests,
        interval_seconds=10.0,
    ),
    Baseline(
        name="kubeai",
        knob="target_requests",
        build=lambda _, knob: KubeAi(target_requests=knob),
        default=_is(100.0),
        swept=_requests,
        interval_seconds=10.0,
    ),
    Baseline(
        name="work_rule",
        knob="utilisation",
        build=lambda setup, knob: WorkRule(work=setup.work, utilisation=knob),
        default=_is(0.7),
        swept=_always(0.3, 0.4, 0.5, 0.6, 0.8, 0.9, 1.0),
        interval_seconds=15.0,
    ),
    Baseline(
        name="static",
        knob="replicas",
        build=lambda _, knob: Static(replicas=round(knob)),
        default=_static_replicas,
        swept=lambda setup: tuple(
            float(math.ceil(_static_replicas(setup) * factor)) for factor in STATIC_FACTORS
        ),
        interval_seconds=3600.0,
        is_adaptive=False,
    ),
    Baseline(
        name="clairvoyant",
        knob="utilisation",
        build=lambda setup, knob: Clairvoyant(
            workload=setup.workload, work=setup.work, setting=setup.setting, utilisation=knob
        ),
        default=_is(0.9),
        swept=_always(0.5, 0.6, 0.7, 0.8, 0.95, 1.0, 1.05),
        interval_seconds=15.0,
        is_adaptive=False,
    ),
)

BASELINES: Final[Mapping[str, Baseline]] = MappingProxyType({each.name: each for each in _ALL})
"""By name, in the order in which reports show them."""
