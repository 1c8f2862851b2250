"""What the doctor says of setups and machines, good and bad."""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from collector.model.device import DeviceMemoryKind, DeviceSurvey, MigMode
from collector.model.reading import MissingReason
from foresail.doctor import Finding, Status, ThisMachine, examine
from foresail.doctor.machine import Answer, HostMemory
from support.fake_devices import (
    UUID,
    blind_survey,
    device,
    known,
    mig_slice,
    no_memory,
    survey,
)
from support.files import CATALOGUE, write_desk

GIB = 2**30
LARGE = HostMemory(total_bytes=64 * GIB, available_bytes=60 * GIB)
ROOT = Path(__file__).resolve().parents[4]


@dataclass(slots=True, kw_only=True)
class FakeMachine:
    """A machine on which everything is well, except what a test says."""

    host_memory: HostMemory | None = LARGE
    accelerators: DeviceSurvey = field(default_factory=survey)
    taken: Mapping[int, Answer | None] = field(default_factory=dict)  # port: what is there answers
    missing_programs: frozenset[str] = frozenset()
    missing_modules: frozenset[str] = frozenset()
    owners: Mapping[str, frozenset[str]] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)

    def memory(self) -> HostMemory | None:
        return self.host_memory

    def devices(self) -> DeviceSurvey:
        return self.accelerators

    def may_bind(self, *, host: str, port: int) -> str | None:
        return "Address already in use" if port in self.taken else None

    def answer(self, *, host: str, port: int, path: str) -> Answer | None:
        return self.taken.get(port)

    def program(self, word: str) -> Path | None:
        return None if word in self.missing_programs else Path("/usr/bin") / word

    def has_module(self, name: str) -> bool:
        return name not in self.missing_modules

    def module_file(self, name: str) -> Path | None:
        return self.files.get(name, ROOT / name / "__init__.py")

    def module_owners(self, name: str) -> frozenset[str]:
        return self.owners.get(name, frozenset({"foresail"}))


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "chat.gguf").touch()
    return write_desk(tmp_path)


def examined(desk: Path, **machine: object) -> tuple[Finding, ...]:
    return examine(desk, environ={}, machine=FakeMachine(**machine))  # type: ignore[arg-type]  # a test names what differs


def of(findings: tuple[Finding, ...], check: str) -> list[tuple[str, str]]:
    return [(each.status.value, each.message) for each in findings if each.check == check]


def rewrite(desk: Path, old: str, new: str) -> None:
    assert old in CATALOGUE
    (desk.parent / "catalogue.yaml").write_text(CATALOGUE.replace(old, new, 1))


def test_a_good_setup_has_nothing_to_do(desk: Path) -> None:
    findings = examined(desk)
    assert {each.status for each in findings} == {Status.OK}
    assert all(each.next_step is None for each in findings)
    assert [each.check for each in findings] == [
        "imports", "settings", "catalogue", "state_dir", "ledger", "authority", "objectives",
        "commands", "files", "memory", "gateway", "controller", "extras",
    ]  # fmt: skip


def test_everything_to_do_comes_with_a_next_step(desk: Path) -> None:
    findings = examined(desk, missing_programs=frozenset({"llama-server"}), taken={8080: None})
    assert all((each.status is Status.OK) == (each.next_step is None) for each in findings)


def test_a_broken_settings_file_is_one_finding_per_line(desk: Path) -> None:
    desk.write_text("x: 1\ny: 2\n")
    messages = [message for _, message in of(examined(desk), "settings")]
    assert [each.partition(";")[0] for each in messages] == [
        f"{desk}:1: x is not a known key",
        f"{desk}:2: y is not a known key",
    ]


def test_a_broken_catalogue_ends_the_examination_but_not_before(desk: Path) -> None:
    rewrite(desk, "version: 1", "version: 2")
    findings = examined(desk)
    assert of(findings, "settings")[0][0] == "ok"
    assert of(findings, "catalogue") == [
        ("problem", f"{desk.parent}/catalogue.yaml:1: version is 2, must be 1")
    ]
    assert of(findings, "memory") == []


def test_dry_run_is_said(desk: Path) -> None:
    rewrite(desk, "mode: active", "mode: dry_run")
    assert of(examined(desk), "authority") == [
        (
            "warning",
            "authority.mode is dry_run: decisions are shown, no engine is started or stopped",
        )
    ]


def test_active_without_authority_is_said(desk: Path) -> None:
    rewrite(desk, ", scale: auto", "")
    assert of(examined(desk), "authority") == [
        ("warning", "authority.scale is advise: no engine is started or stopped")
    ]


def test_a_missing_program(desk: Path) -> None:
    assert of(examined(desk, missing_programs=frozenset({"llama-server"})), "commands") == [
        ("problem", "chat/llama: 'llama-server' is not found or may not be run")
    ]


def test_a_missing_file(desk: Path) -> None:
    path = desk.parent / "models" / "chat.gguf"
    path.unlink()
    assert of(examined(desk), "files") == [("problem", f"chat/llama: {path} does not exist")]


MEMORY = {
    "enough": (64, 60, "ok", "models may take 20.0 GiB, 60.0 GiB of 64.0 GiB are available"),
    "taken by others": (
        64, 8, "warning", "models may take 20.0 GiB, 8.0 GiB of 64.0 GiB are available now",
    ),
    "less than declared": (
        16, 15, "problem", "pools declare 24.0 GiB, this machine has 16.0 GiB",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("total", "available", "status", "message"), MEMORY.values(), ids=MEMORY)
def test_memory_of_the_machine_against_what_is_declared(
    desk: Path, total: int, available: int, status: str, message: str
) -> None:
    memory = HostMemory(total_bytes=total * GIB, available_bytes=available * GIB)
    assert of(examined(desk, host_memory=memory), "memory") == [(status, message)]


SLICE = "MIG-22222222-2222-3333-4444-555555555555"
BLIND = blind_survey(MissingReason.SOURCE_UNREACHABLE)
CUT = device(
    mig_mode=known(MigMode(is_on=True, is_on_after_reset=True)),
    mig_instances=known(
        (
            replace(
                mig_slice(gpu_instance_id=1, profile="1g.18gb", total=18 * GIB, used=GIB),
                uuid=SLICE,
            ),
        )
    ),
)
POOLS = {
    "fits": (
        UUID, "24GiB", survey(device()), ("ok",
        "pool desk: models may take 20.0 GiB, 119.8 GiB of 140.4 GiB are available"),
    ),
    "by its number": (
        "0", "24GiB", survey(device()), ("ok",
        "pool desk: models may take 20.0 GiB, 119.8 GiB of 140.4 GiB are available"),
    ),
    "taken by others": (
        UUID, "130GiB", survey(device()), ("warning",
        "pool desk: models may take 126.0 GiB, 119.8 GiB of 140.4 GiB are available now"),
    ),
    "less than declared": (
        UUID, "150GiB", survey(device()), ("problem",
        f"pool desk: capacity is 150.0 GiB, {UUID} has 140.4 GiB"),
    ),
    "not there": (
        "7", "24GiB", survey(device()), ("problem",
        "pool desk: there is no accelerator 7 among the 1 of this machine"),
    ),
    "cut into slices": (
        UUID, "24GiB", survey(CUT), ("problem",
        f"pool desk: {UUID} is cut into slices (MIG), so no process gets all of it"),
    ),
    "a slice": (
        SLICE, "12GiB", survey(CUT), ("ok",
        "pool desk: models may take 8.0 GiB, 17.0 GiB of 18.0 GiB are available"),
    ),
    "in the machine's memory": (
        UUID, "24GiB", survey(device(memory_kind=DeviceMemoryKind.UNIFIED, memory=no_memory())),
        ("warning", f"pool desk: {UUID} computes in the memory of the machine"),
    ),
    "memory not told": (
        UUID, "24GiB", survey(device(memory=no_memory())), ("warning",
        f"pool desk: {UUID} does not tell its memory (cannot_see), so what others take of it is not seen"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("named", "capacity", "accelerators", "expected"), POOLS.values(), ids=POOLS
)
def test_memory_of_an_accelerator_against_what_is_declared(
    desk: Path, named: str, capacity: str, accelerators: DeviceSurvey, expected: tuple[str, str]
) -> None:
    rewrite(
        desk,
        "kind: unified, capacity: 24GiB",
        f"kind: discrete, device: '{named}', capacity: {capacity}",
    )
    found = of(examined(desk, accelerators=accelerators), "memory")
    assert found == [expected]


def test_an_accelerator_that_is_not_named_is_not_asked(desk: Path) -> None:
    rewrite(desk, "kind: unified", "kind: discrete")
    assert of(examined(desk, accelerators=BLIND), "memory") == [
        ("warning", "pool desk: no device is named, so what others take of it is not seen")
    ]


def test_accelerators_that_cannot_be_asked_are_a_problem_where_a_pool_needs_them(
    desk: Path,
) -> None:
    rewrite(desk, "kind: unified", f"kind: discrete, device: {UUID}")
    ((status, message),) = of(examined(desk, accelerators=BLIND), "memory")
    assert status == "problem"
    assert message.startswith("the accelerators cannot be asked: ")


def test_a_gateway_that_is_left_out_is_said_and_its_files_are_not_looked_for(desk: Path) -> None:
    desk.write_text("gateway: {enabled: false, keys_file: none}\n")
    catalogue = desk.parent / "catalogue.yaml"
    target = 'kind: url\n          urls: ["http://127.0.0.1:8000", "http://b:1", "http://c:1"]\n'
    text = CATALOGUE.replace("min_replicas: 1", "min_replicas: 3")
    head, _, rest = text.partition("kind: process\n")
    catalogue.write_text(head + target + rest.partition("models/chat.gguf]\n")[2])
    findings = examined(desk)
    assert of(findings, "catalogue")[0][0] == "ok"
    assert of(findings, "gateway") == [
        ("ok", "left out (gateway.enabled: false); engines tell the demand")
    ]
    assert of(findings, "keys") == of(findings, "objectives") == []


def test_processes_behind_a_foreign_gateway_are_a_problem_of_the_catalogue(desk: Path) -> None:
    desk.write_text("gateway: {enabled: false}\n")
    ((status, message),) = of(examined(desk), "catalogue")
    assert status == "problem"
    assert "services.chat.variants.llama is a process" in message


PORTS = {
    "free": ({}, "ok", "does not run; 127.0.0.1:8080 is free for it"),
    "ours": (
        {8080: Answer(status=200, body=json.dumps({"object": "list", "data": []}))},
        "ok", "runs and answers on 127.0.0.1:8080",
    ),
    "ours, with keys": (
        {8080: Answer(status=401, body="{}")}, "ok", "runs and answers on 127.0.0.1:8080",
    ),
    "of a stranger": (
        {8080: Answer(status=200, body="<html>")}, "problem",
        "cannot listen on 127.0.0.1:8080: Address already in use, and what is there does not answer as "
        "the gateway",
    ),
    "silent": (
        {8080: None}, "problem",
        "cannot listen on 127.0.0.1:8080: Address already in use, and what is there does not answer as "
        "the gateway",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("taken", "status", "message"), PORTS.values(), ids=PORTS)
def test_the_gateways_port(
    desk: Path, taken: dict[int, Answer | None], status: str, message: str
) -> None:
    assert of(examined(desk, taken=taken), "gateway") == [(status, message)]


def test_the_controllers_port(desk: Path) -> None:
    ours = Answer(status=200, body='{"services": []}')
    assert of(examined(desk, taken={8081: ours}), "controller")[0][0] == "ok"
    assert of(examined(desk, taken={8081: None}), "controller")[0][0] == "problem"


def test_an_open_endpoint_is_said(desk: Path) -> None:
    desk.write_text("gateway: {host: 0.0.0.0, allow_insecure_listen: true}\n")
    assert of(examined(desk), "gateway")[0] == (
        "warning",
        "0.0.0.0:8080 may be open to others without keys and TLS (allow_insecure_listen)",
    )


def test_a_strangers_package_of_our_name(desk: Path) -> None:
    findings = examined(desk, owners={"collector": frozenset({"stamps", "foresail"})})
    assert of(findings, "imports") == [
        ("problem", "the Python package 'collector' here belongs to stamps")
    ]


def test_our_package_from_somewhere_else(desk: Path) -> None:
    elsewhere = Path("/opt/x/autoscaler/__init__.py")
    findings = examined(desk, owners={"autoscaler": frozenset()}, files={"autoscaler": elsewhere})
    assert of(findings, "imports") == [
        (
            "problem",
            f"the Python package 'autoscaler' here belongs to {elsewhere}, which is not beside Foresail",
        )
    ]


def test_the_demos_parts(desk: Path) -> None:
    findings = examined(desk, missing_modules=frozenset({"xllamacpp"}))
    assert of(findings, "extras") == [
        ("warning", "xllamacpp not installed: `foresail demo` does not work, the rest does")
    ]


def test_a_threshold_between_two_edges_of_vllm(desk: Path) -> None:
    rewrite(desk, "engine: llama_cpp", "engine: vllm")
    text = (desk.parent / "catalogue.yaml").read_text()
    (desk.parent / "catalogue.yaml").write_text(text.replace("threshold: 1s", "threshold: 1200ms"))
    assert of(examined(desk), "objectives")[1:] == [
        (
            "ok",
            "chat: time_to_first_token of 1.2 s is exact at the gateway, but no edge of vLLM's own "
            "histogram (nearest: 1 s and 2.5 s)",
        )
    ]


def test_a_state_directory_that_is_a_file(desk: Path) -> None:
    desk.write_text("state_dir: catalogue.yaml/x\n")
    assert [status for status, _ in of(examined(desk), "state_dir")] == ["problem"]


def test_a_state_directory_too_long_for_a_socket(desk: Path) -> None:
    desk.write_text(f"state_dir: /tmp/{'x' * 100}\n")
    assert "the path of" in of(examined(desk), "state_dir")[0][1]


def test_a_damaged_ledger(desk: Path) -> None:
    (desk.parent / ".foresail").mkdir()
    (desk.parent / ".foresail" / "ledger.sqlite").write_bytes(b"not a database" * 100)
    assert {status for status, _ in of(examined(desk), "ledger")} == {"problem"}


def test_keys_that_are_missing_or_open_to_others(desk: Path) -> None:
    folder = desk.parent
    desk.write_text("gateway: {keys_file: keys, tls_certificate: a.crt, tls_key: a.key}\n")
    (folder / "a.crt").touch()
    (folder / "a.key").touch(mode=0o644)
    assert of(examined(desk), "keys") == [
        ("problem", f"gateway.keys_file: {folder}/keys is not a file"),
        ("warning", f"gateway.tls_key: others may read {folder}/a.key"),
    ]


def test_this_machine_tells_a_free_port_from_a_taken_one() -> None:
    machine = ThisMachine(environ={}, read_devices=lambda: BLIND)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert machine.may_bind(host="127.0.0.1", port=port) == "Address already in use"
    assert machine.may_bind(host="127.0.0.1", port=port) is None
    assert machine.answer(host="127.0.0.1", port=port, path="/") is None


def test_this_machine_knows_its_memory_and_programs(tmp_path: Path) -> None:
    program = tmp_path / "engine"
    program.touch(mode=0o755)
    machine = ThisMachine(environ={"PATH": str(tmp_path)}, read_devices=lambda: BLIND)
    memory = machine.memory()
    assert memory is not None
    assert 0 < memory.available_bytes <= memory.total_bytes
    assert machine.program("engine") == program
    assert machine.program("{python}") is not None
    assert machine.program("ls") is None
    assert machine.has_module("yaml")
    assert not machine.has_module("no_such_module")
