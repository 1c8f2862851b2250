"""One round of looking: read every source at once, normalise, assemble, record in the history.

The shell around the collector's pure stages. Called by the controller's loop once per tick; raises
nothing on account of a source, because one silent source must not blind the others. It never
changes the world: only endpoints that the contract calls observer-safe are read.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from collector.assemble import GATEWAY_KEY, Observed, assemble
from collector.clock import Clock
from collector.daemon_thread import in_daemon_thread
from collector.engine_versions import EngineVersions, VersionQuestion
from collector.errors import SourceError
from collector.increments import clock_was_set, increments, is_uncounted
from collector.model.catalogue import Catalogue, Variant
from collector.model.contract import Contract, Contracts
from collector.model.ids import PoolName, ReplicaId
from collector.model.observation import Observation, ObserveStep
from collector.model.reading import Missing, MissingReason, Number
from collector.model.replica import ANSWERING_STATES, Replica
from collector.model.snapshot import Problem, Snapshot
from collector.normalise.reader import PageReader
from collector.page_safety import is_started_awake, why_unread
from collector.ports import (
    Exposition,
    ExpositionReader,
    HistoryStore,
    MemoryProbe,
    ReplicaDirectory,
    ScrapeTarget,
)

_Memory = tuple[Mapping[ReplicaId, Number], Mapping[PoolName, Number]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserverPorts:
    """What an observer looks through."""

    reader: ExpositionReader
    directory: ReplicaDirectory
    memory_probe: MemoryProbe
    history_store: HistoryStore
    clock: Clock
    catalogue_source: Callable[[], Catalogue]  # the one in force now
    version_reader: ExpositionReader | None = None
    """Asks engines for their version, before a page is read that some versions take for use. None:
    nobody does, pages come from elsewhere than the engines, and are read as the newest."""
    look_at_devices: Callable[[], Awaitable[Sequence[Problem]]] | None = None
    """Called before the memory probe is asked; None: no pool is an accelerator's."""


def gateway_target(unix_socket_path: str) -> ScrapeTarget:
    """The gateway's page behind its Unix socket."""
    return ScrapeTarget(
        key=GATEWAY_KEY, url="http://gateway/metrics", unix_socket_path=unix_socket_path
    )


def scrape_targets(
    replicas: Sequence[Replica],
    *,
    catalogue: Catalogue,
    contracts: Contracts,
    gateway: ScrapeTarget | None,
) -> tuple[ScrapeTarget, ...]:
    """The gateway and every replica that can be asked without changing it."""
    targets = {gateway.key: gateway} if gateway else {}
    for replica, variant, contract in _asked(replicas, catalogue=catalogue, contracts=contracts):
        url = f"{(replica.base_url or '').rstrip('/')}{contract.metrics_path(None)}"
        target = ScrapeTarget(
            key=replica.replica_id,
            url=url,
            match=variant.match_of(replica.role),
            keep_alive=variant.keep_alive and contract.keep_alive,
        )
        targets.setdefault(replica.replica_id, target)
    return tuple(targets.values())


def version_questions(
    replicas: Sequence[Replica], *, catalogue: Catalogue, contracts: Contracts
) -> tuple[VersionQuestion, ...]:
    """Of every replica whose page is read, where it tells its version; without those that never do."""
    found = {
        replica.replica_id: VersionQuestion(
            replica_id=replica.replica_id,
            base_url=replica.base_url,
            endpoint=endpoint,
            keep_alive=variant.keep_alive and contract.keep_alive,
        )
        for replica, variant, contract in _asked(replicas, catalogue=catalogue, contracts=contracts)
        if replica.base_url and (endpoint := contract.version_endpoint())
    }
    return tuple(found.values())


def unread_pages(
    replicas: Sequence[Replica],
    *,
    catalogue: Catalogue,
    contracts: Contracts,
    versions: EngineVersions,
) -> Mapping[ReplicaId, str]:
    """Replicas whose page must not be read by what is known of their version, and why."""
    found = {
        replica.replica_id: why_unread(
            contract,
            answer=versions.answer(replica.replica_id),
            is_known_awake=is_started_awake(variant, contract=contract),
        )
        for replica, variant, contract in _asked(replicas, catalogue=catalogue, contracts=contracts)
    }
    return {replica_id: why for replica_id, why in found.items() if why is not None}


def _asked(
    replicas: Sequence[Replica], *, catalogue: Catalogue, contracts: Contracts
) -> Iterator[tuple[Replica, Variant, Contract]]:
    """The replicas that can be asked, with what is declared and known of their engines."""
    for replica in replicas:
        variant = catalogue.variant(replica.service, replica.variant)
        contract = contracts.engines.get(variant.engine) if variant else None
        if variant is None or contract is None or contract.metrics_path(None) is None:
            continue
        if replica.base_url and replica.state in ANSWERING_STATES:
            yield replica, variant, contract


class Observer:
    """Takes snapshots, one after the other, and remembers the last one."""

    def __init__(
        self,
        *,
        ports: ObserverPorts,
        contracts: Contracts,
        gateway: ScrapeTarget | None,
        read_timeout_seconds: float = 5.0,
    ) -> None:
        self._ports = ports
        self._contracts = contracts
        self._gateway = gateway
        self._read_timeout_seconds = read_timeout_seconds
        self._page_reader = PageReader()
        self._versions = EngineVersions(clock=ports.clock)
        self._latest: Observation | None = None
        self._counted: Snapshot | None = None  # what came later is not in the history yet
        self._looked_monotonic_seconds: float | None = None
        self._errors: Counter[str] = Counter()
        self._memory_task: asyncio.Task[tuple[_Memory, list[Problem]]] | None = None

    @property
    def latest(self) -> Observation | None:
        """The last finished round; None before the first."""
        return self._latest

    def resume(self, snapshot: Snapshot, *, catalogue: Catalogue) -> None:
        """Continues after a snapshot that was kept from before a restart."""
        self._counted = snapshot
        self._latest = Observation(
            snapshot=snapshot, catalogue=catalogue, step_seconds={}, source_errors_total={}
        )

    async def observe(self) -> Snapshot:
        """The world now, recorded in the history. One call at a time."""
        clock = self._ports.clock
        started = clock.monotonic_seconds()
        catalogue = self._ports.catalogue_source()
        observed, problems = await self._read(catalogue)
        read = clock.monotonic_seconds()
        previous = self._latest.snapshot if self._latest else None
        snapshot = assemble(
            observed,
            contracts=self._contracts,
            previous=previous,
            read_page=self._page_reader,
        )
        assembled = clock.monotonic_seconds()
        jump_seconds = self._clock_jump_seconds(snapshot, previous=previous)
        problems += self._record(
            snapshot, previous=previous, catalogue=catalogue, jump_seconds=jump_seconds
        )
        snapshot = replace(
            snapshot,
            problems=(*snapshot.problems, *problems),
            clock_set_by_seconds=jump_seconds,
        )
        self._latest = Observation(
            snapshot=snapshot,
            catalogue=catalogue,
            step_seconds={
                ObserveStep.READ: read - started,
                ObserveStep.ASSEMBLE: assembled - read,
                ObserveStep.RECORD: clock.monotonic_seconds() - assembled,
            },
            source_errors_total=dict(self._errors),
        )
        return snapshot

    async def close(self) -> None:
        """Waits for a memory probe at work as long as a round would; nothing else outlives `observe`."""
        task, self._memory_task = self._memory_task, None
        if task is not None:
            await asyncio.wait([task], timeout=self._read_timeout_seconds)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _read(self, catalogue: Catalogue) -> tuple[Observed, list[Problem]]:
        replicas = self._ports.directory.replicas()
        (expositions, unread), (memory, problems) = await asyncio.gather(
            self._read_engines(replicas, catalogue=catalogue),
            self._read_memory(catalogue, replicas),
        )
        self._count_errors(expositions, replicas=replicas, catalogue=catalogue)
        observed = Observed(
            now_timestamp_seconds=self._ports.clock.timestamp_seconds(),
            catalogue=catalogue,
            replicas=replicas,
            expositions=expositions,
            replica_memory_bytes=memory[0],
            pool_available_bytes=memory[1],
            engine_versions=self._versions.readings(expositions, unread=unread.keys()),
            unread_pages=unread,
        )
        return observed, problems

    async def _read_engines(
        self, replicas: Sequence[Replica], *, catalogue: Catalogue
    ) -> tuple[Mapping[str, Exposition], Mapping[ReplicaId, str]]:
        """The pages of all that may be read, and why others may not.

        Versions are asked for beside the pages, but for engines of which some take that for use.
        """
        asked = version_questions(replicas, catalogue=catalogue, contracts=self._contracts)
        reader = self._ports.version_reader
        due = self._versions.due(asked) if reader else ()
        await self._ask_versions([each for each in due if each.endpoint.sleep_key])
        unread = self._unread(replicas, catalogue=catalogue)
        targets = scrape_targets(
            replicas, catalogue=catalogue, contracts=self._contracts, gateway=self._gateway
        )
        pages, _ = await asyncio.gather(
            self._read_pages(
                [each for each in targets if each.key not in unread], reader=self._ports.reader
            ),
            self._ask_versions([each for each in due if not each.endpoint.sleep_key]),
        )
        return pages, unread

    def _unread(
        self, replicas: Sequence[Replica], *, catalogue: Catalogue
    ) -> Mapping[ReplicaId, str]:
        if self._ports.version_reader is None:
            return {}
        return unread_pages(
            replicas, catalogue=catalogue, contracts=self._contracts, versions=self._versions
        )

    async def _ask_versions(self, questions: Sequence[VersionQuestion]) -> None:
        """Learns the answers; most rounds have no question."""
        reader = self._ports.version_reader
        if reader is not None and questions:
            answers = await self._read_pages([each.target for each in questions], reader=reader)
            self._versions.learn([(each, answers[each.target.key]) for each in questions])

    async def _read_pages(
        self, targets: Sequence[ScrapeTarget], *, reader: ExpositionReader
    ) -> Mapping[str, Exposition]:
        try:
            async with asyncio.timeout(self._read_timeout_seconds):
                found = await reader.read_expositions(targets)
        except TimeoutError:
            found = {}
        now = self._ports.clock.timestamp_seconds()
        limit = self._read_timeout_seconds
        return {
            target.key: found.get(target.key)
            or Exposition(
                key=target.key,
                text=None,
                error=f"{target.url} was not read within {limit:g} s",
                observed_timestamp_seconds=now,
            )
            for target in targets
        }

    async def _read_memory(
        self, catalogue: Catalogue, replicas: Sequence[Replica]
    ) -> tuple[_Memory, list[Problem]]:
        """What the probe says; when it hangs, its thread is waited for again at the next round."""
        if self._memory_task is None:
            self._memory_task = asyncio.create_task(self._probe_memory())
        task = self._memory_task
        await asyncio.wait([task], timeout=self._read_timeout_seconds)
        if not task.done():
            message = f"memory was not read within {self._read_timeout_seconds:g} s"
        else:
            self._memory_task = None  # whatever came of it: the next round asks anew
            try:
                return task.result()
            except (OSError, SourceError) as error:
                message = f"memory cannot be read: {error}"
        self._errors["host"] += 1
        return _unreachable(catalogue, replicas), [Problem(source="host", message=message)]

    async def _probe_memory(self) -> tuple[_Memory, list[Problem]]:
        look = self._ports.look_at_devices
        problems = list(await look()) if look else []
        return await in_daemon_thread(self._ask_probe), problems

    def _ask_probe(self) -> _Memory:
        probe = self._ports.memory_probe
        return probe.replica_memory_bytes(), probe.pool_available_bytes()

    def _count_errors(
        self,
        expositions: Mapping[str, Exposition],
        *,
        replicas: Sequence[Replica],
        catalogue: Catalogue,
    ) -> None:
        variants = {each.replica_id: (each.service, each.variant) for each in replicas}
        for key, exposition in expositions.items():
            named = variants.get(ReplicaId(key))
            variant = catalogue.variant(*named) if named else None
            source = f"engine:{variant.engine.value}" if variant else GATEWAY_KEY
            self._errors[source] += exposition.text is None

    def _clock_jump_seconds(self, snapshot: Snapshot, *, previous: Snapshot | None) -> float:
        """By how much the clock was set since the last look of this process; 0: it was not."""
        before = self._looked_monotonic_seconds
        now = self._looked_monotonic_seconds = self._ports.clock.monotonic_seconds()
        if before is None or previous is None:
            return 0.0
        wall = snapshot.taken_timestamp_seconds - previous.taken_timestamp_seconds
        is_set = clock_was_set(wall_seconds=wall, elapsed_seconds=now - before)
        return wall - (now - before) if is_set else 0.0

    def _record(
        self,
        snapshot: Snapshot,
        *,
        previous: Snapshot | None,
        catalogue: Catalogue,
        jump_seconds: float,
    ) -> list[Problem]:
        counted = self._counted
        if previous is None or counted is None:
            self._counted = snapshot
            return []
        if jump_seconds:
            self._counted = snapshot
            self._ports.history_store.move(by_seconds=jump_seconds)
            message = (
                f"the host's clock was set by {jump_seconds:+.0f} s, or it slept; what happened since "
                "the last look is not counted"
            )
            return [Problem(source="host", message=message)]
        found = increments(counted, snapshot, catalogue=catalogue)
        if not is_uncounted(counted, snapshot):
            self._counted = snapshot
        self._ports.history_store.append(
            start_timestamp_seconds=found.start_timestamp_seconds,
            end_timestamp_seconds=found.end_timestamp_seconds,
            increases=found.increases,
            levels=found.levels,
        )
        return list(found.problems)


def _unreachable(catalogue: Catalogue, replicas: Sequence[Replica]) -> _Memory:
    missing = Missing(reason=MissingReason.SOURCE_UNREACHABLE, source="host")
    return (
        {replica.replica_id: missing for replica in replicas},
        {pool.name: missing for pool in catalogue.pools},
    )
