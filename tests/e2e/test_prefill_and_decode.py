"""Prefill and decode engines on real sockets, from catalogue.yaml to an advised unit.

A router asks prefill for one token of each answer and decode for all of it, as vLLM's proxies do.
"""

from pathlib import Path

from autoscaler.decide import decide
from autoscaler.execute.registry import ReplicaRegistry
from autoscaler.model.decision import Verdict
from autoscaler.model.state import ControllerState
from collector.catalogue_file import parse_catalogue
from collector.clock import SystemClock
from collector.history.memory import MemoryHistoryStore
from collector.loop import Observer, ObserverPorts
from collector.sources.exposition_http import HttpExpositionReader
from support.collector_worlds import CHAT, CONTRACTS
from support.emulated import emulated

CATALOGUE = """\
version: 1
authority: {{mode: active, scale: auto}}
pools:
  cluster: {{kind: unified, capacity: 800GiB}}
tiers:
  gold: {{violation_price_per_minute: 10}}
services:
  chat:
    tier: gold
    objectives:
      - {{sli: time_to_first_token, threshold: 1s, target: 99%}}
    variants:
      split:
        engine: vllm
        pool: cluster
        memory: 40GiB
        slots: 64
        capacity: {{prompt_seconds_per_token: 0.00004, output_seconds_per_token: 0.0006}}
        min_replicas: 2
        roles:
          prefill: {{ratio: 1, urls: ["{prefill}"]}}
          decode: {{ratio: 1, urls: ["{decode}"]}}
        target: {{kind: url, urls: ["http://127.0.0.1:9"]}}
"""


class NoMemory:
    """A probe that sees none."""

    def replica_memory_bytes(self):
        return {}

    def pool_available_bytes(self):
        return {}


async def test_each_request_counts_once_and_whole_units_are_advised():
    clock = SystemClock()
    async with (
        emulated() as prefill,
        emulated() as decode,
        HttpExpositionReader(clock=clock) as reader,
    ):
        text = CATALOGUE.format(prefill=prefill.url, decode=decode.url)
        catalogue = parse_catalogue(text.encode(), path=Path("/etc/catalogue.yaml"))
        store = MemoryHistoryStore(bin_seconds=15, keep_seconds=600)
        observer = Observer(
            ports=ObserverPorts(
                reader=reader,
                directory=ReplicaRegistry(clock=clock, catalogue=lambda: catalogue),
                memory_probe=NoMemory(),
                history_store=store,
                clock=clock,
                catalogue_source=lambda: catalogue,
                version_reader=reader,
            ),
            contracts=CONTRACTS,
            gateway=None,
        )
        await observer.observe()
        for _ in range(3):
            asked = {"model": "tiny", "prompt": "a prompt of some words"}
            await prefill.stream({**asked, "max_tokens": 1})
            await decode.stream({**asked, "max_tokens": 4})
        snapshot = await observer.observe()
    traffic = snapshot.service(CHAT).traffic
    assert (traffic.arrived_requests_total.value, traffic.in_flight_requests.value) == (3, 0)
    assert traffic.completed_requests_total.value == 3
    assert (
        traffic.output_tokens_total.value == 12
    )  # and not the one token that prefill gave of each
    decision = decide(
        snapshot=snapshot,
        history=store.history(
            services=[CHAT], window_seconds=600.0, now_timestamp_seconds=clock.timestamp_seconds()
        ),
        catalogue=catalogue,
        state=ControllerState(),
        now=clock.timestamp_seconds(),
    ).decisions[0]
    assert decision.verdict is Verdict.ADVISE
    assert decision.explanation.startswith(
        "Scale split out 1 to 2: the catalogue asks for at least"
    )
    assert "2 units are 2 prefill and 2 decode engines" in decision.explanation
