"""The compiled plant against plain engine models behind the same router: equal to the picosecond."""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.engine_model.costs import EngineLimits, StepCosts, picoseconds
from autoscaler.engine_model.engine import EngineModel
from autoscaler.engine_model.request import Request
from autoscaler.replay.service_plant import RequestStatus, ServicePlant
from autoscaler.replay.workload import Workload

COSTS = st.builds(
    StepCosts,
    floor_picoseconds=st.integers(1, 500),
    prefill_base_picoseconds=st.integers(0, 300),
    prefill_token_picoseconds=st.integers(0, 60),
    prefill_square_picoseconds=st.integers(0, 3),
    sequence_picoseconds=st.integers(0, 40),
    context_token_picoseconds=st.integers(0, 5),
)
LIMITS = st.builds(
    EngineLimits,
    kv_capacity_tokens=st.integers(40, 160),  # tight: preemptions are common
    max_sequence_count=st.integers(1, 6),
    max_step_tokens=st.integers(6, 50),
)
# As large as real ones, so that squares of times leave 64 bits.
REAL_COSTS = st.builds(
    StepCosts,
    floor_picoseconds=st.integers(10**9, 10**11),
    prefill_base_picoseconds=st.integers(0, 3 * 10**10),
    prefill_token_picoseconds=st.integers(0, 3 * 10**8),
    prefill_square_picoseconds=st.integers(0, 5000),
    sequence_picoseconds=st.integers(0, 10**9),
    context_token_picoseconds=st.integers(0, 10**6),
)
REAL_LIMITS = st.builds(
    EngineLimits,
    kv_capacity_tokens=st.integers(4000, 30_000),
    max_sequence_count=st.integers(1, 64),
    max_step_tokens=st.sampled_from([64, 2048, 8192]),
)
REAL_WORK = st.lists(
    st.tuples(st.integers(0, 3 * 10**13), st.integers(1, 3000), st.integers(1, 600)),
    min_size=1,
    max_size=40,
)
WORK = st.lists(
    # up to 75 tokens: some requests can never fit
    st.tuples(st.integers(0, 4000), st.integers(1, 45), st.integers(1, 30)),
    min_size=1,
    max_size=30,
)
TIMES = st.lists(st.integers(0, 20_000), max_size=30)
FACTORS = (0.5, 1.0, 3.0)
OPERATIONS = st.lists(
    st.tuples(
        st.integers(0, 6000),
        st.sampled_from(["add", "add", "open", "open", "drain", "kill", "remove", "slow"]),
        st.integers(0, 20),
    ),
    max_size=25,
)
HOLDING = st.tuples(st.integers(0, 12), st.integers(0, 2000))  # requests, picoseconds
SOME = settings(max_examples=150, deadline=None)
NEVER = -1
END = 10**9


def at(time):
    """Seconds whose nearest picosecond is this."""
    return time / 10**12


def workload_of(work):
    ordered = sorted(work, key=lambda each: each[0])
    return Workload(
        arrival_seconds=np.array([at(each[0]) for each in ordered]),
        prompt_tokens=np.array([each[1] for each in ordered], np.int64),
        output_tokens=np.array([each[2] for each in ordered], np.int64),
    )


@dataclass(kw_only=True)
class ModelReplica:
    """One engine model of the slow fleet."""

    number: int
    model: EngineModel
    stage: str = "pending"
    chosen: int = 0  # how many had arrived when it got its last request

    @property
    def load(self):
        load = self.model.load()
        return load.running_count + load.waiting_count


@dataclass(kw_only=True)
class ModelFleet:
    """What the plant does, told again with engine models: plainly and slowly."""

    workload: Workload
    costs: StepCosts
    limits: EngineLimits
    max_held: int = END
    hold_timeout: int = END
    now: int = 0
    arrived: int = 0
    last_number: int = 0
    replicas: dict = field(default_factory=dict)
    held: list = field(default_factory=list)
    submitted: dict = field(default_factory=dict)
    status: dict = field(default_factory=dict)
    first: dict = field(default_factory=dict)
    finished: dict = field(default_factory=dict)

    def arrival(self, row):
        return picoseconds(float(self.workload.arrival_seconds[row]))

    def advance(self, to):
        while self.arrived < len(self.workload) and self.arrival(self.arrived) <= to:
            self.arrived += 1
            self.arrive(self.arrived - 1)
        self.move_on(to)
        self.now = to

    def move_on(self, to):
        for row in [row for row in self.held if self.arrival(row) + self.hold_timeout <= to]:
            self.held.remove(row)
            self.status[row] = RequestStatus.SHED
        for replica in self.replicas.values():
            replica.model.advance(to)
            self.collect(replica.model)

    def collect(self, model):
        for row, since_arrival in model.take_first_tokens():
            self.first[row] = self.submitted[row] + since_arrival
        for done in model.take_completions():
            self.finished[done.number] = done.finished_picoseconds
            self.status[done.number] = RequestStatus.DONE

    def arrive(self, row):
        now = self.arrival(row)
        self.move_on(now)
        tokens = int(self.workload.prompt_tokens[row] + self.workload.output_tokens[row])
        if tokens - 1 > self.limits.kv_capacity_tokens:
            self.status[row] = RequestStatus.REJECTED
        elif self.open:
            self.submit(row, self.routed(), now)
        elif len(self.held) < self.max_held:
            self.held.append(row)
        else:
            self.status[row] = RequestStatus.SHED

    def routed(self):
        """The least loaded, of equals the one chosen longest ago, the oldest of those never chosen."""
        return min(self.open, key=lambda each: (each.load, each.chosen, each.number))

    def submit(self, row, replica, now):
        replica.chosen = self.arrived
        prompt, output = self.workload.prompt_tokens[row], self.workload.output_tokens[row]
        self.submitted[row] = now
        replica.model.submit(Request(row, int(prompt), int(output)), at=now)

    @property
    def open(self):
        return [each for each in self.replicas.values() if each.stage == "open"]

    def add(self):
        self.last_number += 1
        model = EngineModel(costs=self.costs, limits=self.limits, keeps_runs=True)
        self.replicas[self.last_number] = ModelReplica(number=self.last_number, model=model)
        return self.last_number

    def open_one(self, number):
        replica = self.replicas[number]
        replica.stage = "open"
        for row in self.held:
            self.submit(row, self.routed(), self.now)
        self.held.clear()

    def kill(self, number):
        ended = self.replicas.pop(number)
        lost = [row for row in self.submitted if ended.model.cancel(row, at=self.now) is not None]
        self.status.update(dict.fromkeys(lost, RequestStatus.FAILED))
        return len(lost)


def both(work, *, costs, limits, max_held=END, hold_timeout=END):
    workload = workload_of(work)
    plant = ServicePlant(
        workload=workload,
        costs=costs,
        limits=limits,
        max_held_requests=max_held,
        hold_timeout_seconds=at(hold_timeout),
    )
    fleet = ModelFleet(
        workload=workload,
        costs=costs,
        limits=limits,
        max_held=max_held,
        hold_timeout=hold_timeout,
    )
    return plant, fleet


def carry_out(what, which, plant, fleet):
    """The same change of both, where the choice allows it."""
    if what == "add":
        assert plant.add_replica() == fleet.add()
        return
    stages = {"open": ["pending"], "drain": ["open"]}.get(what, ["pending", "open", "draining"])
    fit = [each for each in fleet.replicas.values() if each.stage in stages]
    if what == "remove":
        fit = [each for each in fit if each.load == 0]
    if not fit:
        return
    replica = fit[which % len(fit)]
    change(what, which, replica, plant, fleet)


def change(what, which, replica, plant, fleet):
    number = replica.number
    match what:
        case "open":
            plant.open_replica(number)
            fleet.open_one(number)
        case "drain":
            plant.drain_replica(number)
            replica.stage = "draining"
        case "kill":
            assert plant.kill_replica(number) == fleet.kill(number)
        case "remove":
            plant.remove_replica(number)
            del fleet.replicas[number]
        case "slow":
            factor = FACTORS[which % len(FACTORS)]
            plant.slow_replica(number, factor)
            replica.model.change_costs(fleet.costs.scaled(factor), at=fleet.now)


def in_picoseconds(times):
    return [NEVER if np.isnan(time) else picoseconds(float(time)) for time in times]


def outcome(plant):
    return (
        in_picoseconds(plant.first_token_seconds),
        in_picoseconds(plant.finished_seconds),
        plant.status.tolist(),
    )


def model_outcome(fleet):
    rows = range(len(fleet.workload))
    return (
        [fleet.first.get(row, NEVER) for row in rows],
        [fleet.finished.get(row, NEVER) for row in rows],
        [fleet.status.get(row, RequestStatus.PENDING) for row in rows],
    )


def assert_conserved(plant):
    assert plant.arrived_requests == (
        plant.held_requests
        + plant.in_flight_requests()
        + plant.completed_requests
        + plant.failed_requests
        + plant.shed_requests
        + plant.rejected_requests
    )


def assert_samples_agree(plant, fleet):
    for sample, replica in zip(plant.samples(), fleet.open, strict=True):
        load = replica.model.load()
        assert sample.number == replica.number
        assert sample.running_requests == load.running_count
        assert sample.waiting_requests == load.waiting_count
        assert sample.kv_used_tokens == load.kv_used_tokens


@given(work=WORK, costs=COSTS, limits=LIMITS, replicas=st.integers(1, 4))
@SOME
def test_replicas_are_engine_models_behind_the_same_router(work, costs, limits, replicas):
    plant, fleet = both(work, costs=costs, limits=limits)
    for _ in range(replicas):
        plant.open_replica(plant.add_replica())
        fleet.open_one(fleet.add())
    plant.advance(at(END))
    fleet.advance(END)
    assert outcome(plant) == model_outcome(fleet)
    assert RequestStatus.PENDING not in plant.status


@given(work=WORK, costs=COSTS, limits=LIMITS, operations=OPERATIONS, holding=HOLDING)
@SOME
def test_any_order_of_changes_does_to_the_plant_what_it_does_to_engine_models(
    work, costs, limits, operations, holding
):
    max_held, hold_timeout = holding
    plant, fleet = both(
        work, costs=costs, limits=limits, max_held=max_held, hold_timeout=hold_timeout
    )
    for time, what, which in sorted(operations, key=lambda each: each[0]):
        plant.advance(at(time))
        fleet.advance(time)
        carry_out(what, which, plant, fleet)
        assert_conserved(plant)
        assert_samples_agree(plant, fleet)
        assert plant.held_requests == len(fleet.held)
        assert plant.in_flight_requests() == sum(each.load for each in fleet.replicas.values())
    plant.advance(at(END))
    fleet.advance(END)
    assert_conserved(plant)
    assert outcome(plant) == model_outcome(fleet)
    assert np.count_nonzero(plant.status == RequestStatus.SHED) == plant.shed_requests


@given(
    work=REAL_WORK,
    costs=REAL_COSTS,
    limits=REAL_LIMITS,
    replicas=st.integers(1, 3),
    looks=st.lists(st.integers(0, 4 * 10**13), max_size=15),
)
@SOME
def test_equal_also_at_the_times_and_lengths_of_real_engines(work, costs, limits, replicas, looks):
    plant, fleet = both(work, costs=costs, limits=limits)
    for _ in range(replicas):
        plant.open_replica(plant.add_replica())
        fleet.open_one(fleet.add())
    for time in [*sorted(looks), 8 * 10**15]:
        plant.advance(at(time))
        fleet.advance(time)
        assert_samples_agree(plant, fleet)
    assert outcome(plant) == model_outcome(fleet)


@given(work=WORK, costs=COSTS, limits=LIMITS, looks=TIMES, replicas=st.integers(1, 3))
@SOME
def test_cutting_time_into_pieces_and_looking_changes_nothing(work, costs, limits, looks, replicas):
    plain, _ = both(work, costs=costs, limits=limits)
    watched, _ = both(work, costs=costs, limits=limits)
    for plant in (plain, watched):
        for _ in range(replicas):
            plant.open_replica(plant.add_replica())
    first_tokens, finished = [], []
    for time in [*sorted(looks), END]:
        watched.advance(at(time))
        watched.samples()
        first_tokens += watched.take_first_tokens().tolist()
        finished += watched.take_finished()[1].tolist()
    plain.advance(at(END))
    assert outcome(watched) == outcome(plain)
    assert first_tokens == plain.take_first_tokens().tolist()
    assert finished == plain.take_finished()[1].tolist()
    assert [sample.output_tokens_total for sample in watched.samples()] == [
        sample.output_tokens_total for sample in plain.samples()
    ]


@given(work=WORK, costs=COSTS, limits=LIMITS, looks=TIMES)
@settings(max_examples=60, deadline=None)
def test_totals_of_tokens_never_fall_and_end_at_all_that_was_made(work, costs, limits, looks):
    plant, _ = both(work, costs=costs, limits=limits)
    plant.open_replica(plant.add_replica())
    totals = []
    for time in [*sorted(looks), END]:
        plant.advance(at(time))
        (sample,) = plant.samples()
        totals.append((sample.prompt_tokens_total, sample.output_tokens_total))
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in pairwise(totals))
    assert totals[-1][1] == plant.completed_output_tokens
    assert totals[-1][0] >= plant.completed_prompt_tokens
