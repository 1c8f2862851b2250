"""What a catalogue.yaml means, and exactly what its owner is told when it is wrong."""

from pathlib import Path

import pytest

from collector.catalogue_file import parse_catalogue, read_catalogue
from collector.catalogue_file.schema import ControlPart
from collector.catalogue_file.target_schema import ProcessPart
from collector.errors import CatalogueError
from collector.model.catalogue import (
    ActionKind,
    AuthorityLevel,
    Catalogue,
    Control,
    Mode,
    PoolKind,
    ProcessTarget,
    Sli,
    UrlTarget,
)
from collector.model.replica import EngineKind
from support.files import CATALOGUE, broken

FILE = Path("catalogue.yaml")


def told(content: bytes) -> list[str]:
    """What the owner is told, without the name of the file."""
    with pytest.raises(CatalogueError) as caught:
        parse_catalogue(content, path=FILE)
    return [line.removeprefix("catalogue.yaml:") for line in str(caught.value).splitlines()]


def parsed(text: str) -> Catalogue:
    return parse_catalogue(text.encode(), path=Path("/etc/desk/catalogue.yaml"))


def test_everything_said_arrives_in_base_units() -> None:
    catalogue = parsed(CATALOGUE)
    chat, embed = catalogue.services
    assert catalogue.version == 1
    assert (chat.name, chat.models, chat.owner, chat.tier) == (
        "chat", ("chat", "my-chat"), "me", "gold",
    )  # fmt: skip
    assert (chat.hold_timeout_seconds, chat.max_held_requests) == (60.0, 100)
    (objective,) = chat.objectives
    assert (objective.sli, objective.threshold_seconds) == (Sli.TIME_TO_FIRST_TOKEN, 1.0)
    assert (objective.target_ratio, objective.window_seconds) == (0.99, 2_419_200.0)
    (variant,) = chat.variants
    assert (variant.engine, variant.pool, variant.memory_bytes) == (
        EngineKind.LLAMA_CPP, "desk", 2_147_483_648,
    )  # fmt: skip
    assert (variant.slots, variant.min_replicas, variant.max_replicas) == (4, 1, 3)
    (pool,) = catalogue.pools
    assert (pool.kind, pool.capacity_bytes, pool.reserve_bytes) == (
        PoolKind.UNIFIED, 25_769_803_776, 4_294_967_296,
    )  # fmt: skip
    assert catalogue.tiers[0].violation_price_per_minute == 10.0
    assert catalogue.authority.mode is Mode.ACTIVE
    assert catalogue.authority.level(ActionKind.SCALE) is AuthorityLevel.AUTO
    assert catalogue.authority.level(ActionKind.SWAP) is AuthorityLevel.ADVISE
    assert embed.models == ("embed",)
    assert embed.owner == "unowned"


def test_labels_of_a_service_are_those_of_its_variants_and_a_variants_own_win() -> None:
    text = CATALOGUE.replace(
        "    owner: me\n", "    owner: me\n    match: {cluster: eu, job: llm}\n"
    )
    text = text.replace("        slots: 4\n", "        slots: 4\n        match: {job: chat}\n")
    chat, embed = parsed(text).services
    assert chat.variants[0].match == {"cluster": "eu", "job": "chat"}
    assert embed.variants[0].match == {}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            "{my-job: x}",
            "has a name that must be a label's name: letters, digits and '_', such as namespace",
        ),
        ("{job: 5}", "is 5, must be text"),
        ("{job: ''}", "is '', must have at least 1 characters"),
    ],
)
def test_labels_that_cannot_be_are_told(labels: str, message: str) -> None:
    (line,) = told(broken("        slots: 4\n", f"        slots: 4\n        match: {labels}\n"))
    assert line.endswith(message)


LENT = "quotas: {lent: {max_replicas: 3}}\n"


def lent(*, quota: str = "lent", minimum: int = 1) -> str:
    """The catalogue with a spot variant in a quota."""
    given = f"pool: desk\n        spot: true\n        quota: {quota}\n        memory: 2GiB"
    text = CATALOGUE.replace("pool: desk\n        memory: 2GiB", given, 1)
    return LENT.replace("3", "2") + text.replace("min_replicas: 1", f"min_replicas: {minimum}", 1)


def test_spot_and_quota_of_a_variant_arrive() -> None:
    catalogue = parsed(lent())
    variant = catalogue.services[0].variants[0]
    assert (variant.is_spot, variant.quota) == (True, "lent")
    assert [(each.name, each.max_replicas) for each in catalogue.quotas] == [("lent", 2)]
    other = catalogue.services[1].variants[0]
    assert (other.is_spot, other.quota) == (False, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            lent(quota="lend"),
            "quota is 'lend', which is not declared under quotas; did you mean 'lent'?",
            id="name",
        ),
        pytest.param(
            lent(minimum=3),
            "quotas.lent.max_replicas is 2, but the min_replicas of its variants are 3 together",
            id="too-small-for-the-minimum",
        ),
        pytest.param(
            "control: {max_spot: 150%}\n" + CATALOGUE, "control.max_spot is", id="more-than-all"
        ),
    ],
)
def test_a_quota_or_a_share_of_spot_that_cannot_be_is_told(text: str, message: str) -> None:
    assert any(message in line for line in told(text.encode()))


UUID = "GPU-0a1b2c3d-0a1b-0a1b-0a1b-0123456789ab"


@pytest.mark.parametrize(("typed", "device"), [("0", "0"), ('"0"', "0"), (UUID, UUID)])
def test_a_discrete_pool_names_its_accelerator(typed: str, device: str) -> None:
    text = CATALOGUE.replace("kind: unified,", f"kind: discrete, device: {typed},")
    assert parsed(text).pools[0].device == device
    assert parsed(CATALOGUE).pools[0].device is None


def test_one_accelerator_is_the_device_of_one_pool() -> None:
    pools = "  {}: {{kind: discrete, capacity: 24GiB, device: " + UUID + "}}\n"
    both = pools.format("desk") + pools.format("copy").replace("GPU-0a", "GPU-0A")
    old = "  desk: {kind: unified, capacity: 24GiB, reserve: 4GiB}\n"
    assert told(broken(old, both)) == [
        f"5: pools.copy.device is {UUID.replace('0a', '0A', 1)}, which is the device of pool 'desk' "
        "already"
    ]


def test_files_are_seen_from_the_folder_of_the_catalogue() -> None:
    text = CATALOGUE.replace("[llama-server, ", '[./bin/serve, "{catalogue_dir}/m.gguf", ')
    target = parsed(text).services[0].variants[0].target
    assert isinstance(target, ProcessTarget)
    assert target.command == ("/etc/desk/bin/serve", "/etc/desk/m.gguf", "--port", "{port}")
    assert target.required_files == ("/etc/desk/models/chat.gguf",)


def test_a_program_without_a_slash_is_left_for_the_path() -> None:
    target = parsed(CATALOGUE).services[0].variants[0].target
    assert isinstance(target, ProcessTarget)
    assert target.command[0] == "llama-server"


def test_replicas_of_a_url_target_are_its_urls() -> None:
    text = CATALOGUE.replace('["http://127.0.0.1:8000"]', '["http://a:1/", "https://b"]')
    variant = parsed(text).services[1].variants[0]
    assert variant.target == UrlTarget(urls=("http://a:1", "https://b"))
    assert (variant.min_replicas, variant.max_replicas) == (2, 2)


@pytest.mark.parametrize(
    ("engine", "said", "expected"),
    [
        ("llama_cpp", "", False),
        ("vllm", "", True),
        ("llama_cpp", "keep_alive: true", True),
        ("vllm", "keep_alive: no", False),
    ],
)
def test_only_llama_cpp_gets_a_connection_per_request_by_default(
    engine: str, said: str, expected: bool
) -> None:
    text = CATALOGUE.replace("engine: llama_cpp", f"engine: {engine}").replace(
        "        slots: 4\n", f"        slots: 4\n        {said}\n"
    )
    assert parsed(text).services[0].variants[0].keep_alive is expected


def test_defaults_are_those_of_the_values_they_become() -> None:
    assert parsed(CATALOGUE).control == Control()
    plain = ProcessPart(kind="process", command=["x", "{port}"])
    assert (
        plain.health_path, plain.startup_timeout, plain.drain_timeout, plain.terminate_timeout,
    ) == ("/health", 300.0, 120.0, 20.0)  # fmt: skip
    target = ProcessTarget(command=("x",))
    assert (target.startup_timeout_seconds, target.drain_timeout_seconds) == (300.0, 120.0)
    assert target.terminate_timeout_seconds == 20.0
    assert ControlPart().stale_after == 20.0


def test_the_digest_is_of_the_bytes() -> None:
    assert parsed(CATALOGUE).digest != parsed(CATALOGUE + "# a comment\n").digest
    empty = parsed(CATALOGUE).digest
    assert len(empty) == 64
    assert int(empty, 16) > 0


def test_an_alias_repeats_what_was_said_once() -> None:
    text = CATALOGUE.replace("      - {sli: avail", "      - &up {sli: avail").replace(
        "28d}\n", "28d}\n      - {sli: end_to_end_latency, threshold: &limit 30s, target: 99%}\n", 1
    )
    text = text.replace("    variants:\n      fixed", "      - {sli: end_to_end_latency, threshold: *limit, target: 9%}\n    variants:\n      fixed")  # fmt: skip
    assert parsed(text).services[1].objectives[1].threshold_seconds == 30.0


def test_a_byte_order_mark_and_windows_lines_are_read() -> None:
    content = b"\xef\xbb\xbf" + CATALOGUE.replace("\n", "\r\n").encode()
    assert len(parse_catalogue(content, path=FILE).services) == 2


BROKEN = {
    # keys
    "unknown key at the top": (
        "authority:", "autority:",
        "2: autority is not a known key; did you mean 'authority'?",
    ),
    "unknown key like none": (
        "owner: me", "zzz: me",
        "10: services.chat.zzz is not a known key; known here: models, owner, tier, objectives, "
        "hold_timeout, max_held_requests, max_in_flight_per_replica, match, calendar, overflow, variants",
    ),
    "unknown key of a process": (
        "required_files:", "require_files:",
        "26: services.chat.variants.llama.target.require_files is not a known key; did you mean "
        "'required_files'?",
    ),
    "key of the other kind of target": (
        '{kind: url, urls: ["http://127.0.0.1:8000"]}',
        '{kind: url, urls: ["http://127.0.0.1:8000"], command: [x]}',
        "37: services.embed.variants.fixed.target.command is not a known key; known here: kind, urls",
    ),
    "key written twice": (
        "owner: me", "owner: me\n    owner: you",
        "11: services.chat.owner is written a second time; the first is in line 10",
    ),
    "service written twice": (
        "  embed:", "  chat:",
        "27: services.chat is written a second time; the first is in line 8",
    ),
    "required key missing": (
        "        memory: 2GiB\n", "",
        "15: services.chat.variants.llama has no 'memory', which is required: What one replica holds "
        "there, weights and cache, such as 6GiB",
    ),
    "version missing": ("version: 1\n", "", "1: the file has no 'version', which is required: The version of this form: 1"),
    "key that YAML reads as false": (
        "  gold: {", "  no: {", "6: tiers has the key 'no', which YAML does not read as text; quote it",
    ),
    "key that is a number": (
        "  chat:\n", "  7:\n", "8: services has the key '7', which YAML does not read as text; quote it",
    ),
    "merge key": (
        "owner: me", "<<: {owner: me}",
        "10: services.chat has a merge key (<<), which is not supported; write it out",
    ),
    "name with a space": (
        "  desk: {", "  My Desk: {",
        "4: pools.'My Desk' has a name that must be at most 63 lower-case letters, digits, '-', '_' or "
        "'.', with a letter or digit at both ends",
    ),
    # types and values
    "version of the future": ("version: 1", "version: 2", "1: version is 2, must be 1"),
    "word for a number": (
        "slots: 4", "slots: many", "19: services.chat.variants.llama.slots is 'many', must be a whole number",
    ),
    "quoted number": (
        "slots: 4", 'slots: "4"', "19: services.chat.variants.llama.slots is '4', must be a whole number",
    ),
    "true for a number": (
        "slots: 4", "slots: true", "19: services.chat.variants.llama.slots is true, must be a whole number",
    ),
    "fraction for a count": (
        "slots: 4", "slots: 1.5", "19: services.chat.variants.llama.slots is 1.5, must be a whole number",
    ),
    "count too small": ("slots: 4", "slots: 0", "19: services.chat.variants.llama.slots is 0, must be at least 1"),
    "count far too large": (
        "max_replicas: 3", "max_replicas: 99999",
        "21: services.chat.variants.llama.max_replicas is 99999, must be at most 10000",
    ),
    "negative count": (
        "min_replicas: 1", "min_replicas: -1",
        "20: services.chat.variants.llama.min_replicas is -1, must be at least 0",
    ),
    "negative price": (
        "violation_price_per_minute: 10", "violation_price_per_minute: -0.5",
        "6: tiers.gold.violation_price_per_minute is -0.5, must be at least 0",
    ),
    "not a number": (
        "cost_per_hour: 0.1", "cost_per_hour: .nan",
        "22: services.chat.variants.llama.cost_per_hour is '.nan', must be a plain finite number such "
        "as 0.5",
    ),
    "octal notation": (
        "slots: 4", "slots: 010",
        "19: services.chat.variants.llama.slots is '010', a notation YAML reads as another number; "
        "write plain digits, or quote it",
    ),
    "number for text": ("owner: me", "owner: 5", "10: services.chat.owner is 5, must be text"),
    "text for a list": (
        "models: [chat, my-chat]", "models: chat", "9: services.chat.models is 'chat', must be a list",
    ),
    "empty list": (
        "models: [chat, my-chat]", "models: []",
        "9: services.chat.models is a list, must have at least 1 of them",
    ),
    "list for a mapping": (
        "authority: {mode: active, scale: auto}", "authority: [active]",
        "2: authority is a list, must be a mapping (lines of `key: value`)",
    ),
    "nothing for a mapping": (
        "  gold: {violation_price_per_minute: 10}", "  gold:",
        "6: tiers.gold is empty, must be a mapping (lines of `key: value`)",
    ),
    "tag": (
        "owner: me", "owner: !!binary bWU=",
        "10: services.chat.owner has the YAML tag 'tag:yaml.org,2002:binary', which is not supported",
    ),
    # closed lists
    "mode": (
        "mode: active", "mode: activ",
        "2: authority.mode is 'activ', must be one of: dry_run, active; did you mean 'active'?",
    ),
    "authority that is not there yet": (
        "scale: auto", "scale: approve",
        "2: authority.scale is 'approve', must be one of: auto, advise, deny",
    ),
    "engine": (
        "engine: llama_cpp", "engine: llamacpp",
        "16: services.chat.variants.llama.engine is 'llamacpp', must be one of: vllm, llama_cpp, "
        "sglang, tensorrt_llm, triton, lmdeploy, tgi, ollama; did you "
        "mean 'llama_cpp'?",
    ),
    "sli": (
        "sli: time_to_first_token", "sli: ttft",
        "13: services.chat.objectives[0].sli is 'ttft', must be one of: time_to_first_token, "
        "inter_token_latency, end_to_end_latency, availability",
    ),
    "kind of a target": (
        "kind: process", "kind: proces",
        "24: services.chat.variants.llama.target.kind is 'proces', must be one of: process, url; did "
        "you mean 'process'?",
    ),
    "no kind of a target": (
        "          kind: process\n", "",
        "23: services.chat.variants.llama.target has no 'kind', which is required: one of process, url",
    ),
    # units
    "memory that means two things": (
        "capacity: 24GiB", "capacity: 24G",
        "4: pools.desk.capacity is '24G', must be an amount of memory such as 24GiB (2^30) or 24GB (10^9)",
    ),
    "memory without a unit": (
        "memory: 2GiB", "memory: 2",
        "18: services.chat.variants.llama.memory is 2, must be from 1MiB to 1024TiB; a number without a "
        "unit is bytes",
    ),
    "negative memory": (
        "capacity: 24GiB", "capacity: -24GiB",
        "4: pools.desk.capacity is '-24GiB', must be an amount of memory such as 24GiB, 24GB or whole bytes",
    ),
    "duration of a calendar": (
        "window: 28d", "window: 4 weeks",
        "13: services.chat.objectives[0].window is '4 weeks', must be a duration such as 250ms, 90s, "
        "5m, 1h30m, 28d or seconds",
    ),
    "duration with a colon": (
        "threshold: 1s", "threshold: 1:30",
        "13: services.chat.objectives[0].threshold is '1:30', a notation YAML reads as another number; "
        "write plain digits, or quote it",
    ),
    "duration of zero": (
        "threshold: 1s", "threshold: 0",
        "13: services.chat.objectives[0].threshold is 0, must be a duration above 0 and at most 400d",
    ),
    "percentage without its sign": (
        "target: 99%", "target: 99",
        "13: services.chat.objectives[0].target is 99, must be a share above 0% and under 100%, such as "
        "99% or 0.99",
    ),
    "all of all": (
        "target: 99%", "target: 100%",
        "13: services.chat.objectives[0].target is '100%', must be a share above 0% and under 100%, "
        "such as 99% or 0.99",
    ),
    # words
    "url without scheme": (
        "http://127.0.0.1:8000", "127.0.0.1:8000",
        "37: services.embed.variants.fixed.target.urls[0] is '127.0.0.1:8000', must be a url such as "
        "http://127.0.0.1:8000",
    ),
    "url with a path": (
        "http://127.0.0.1:8000", "http://127.0.0.1:8000/v1",
        "37: services.embed.variants.fixed.target.urls[0] is 'http://127.0.0.1:8000/v1', must end after "
        "host and port; the gateway adds the path (/v1/...)",
    ),
    "url with a password": (
        "http://127.0.0.1:8000", "http://me:secret@a:1",
        "37: services.embed.variants.fixed.target.urls[0] is 'http://…@a:1', must not hold a user or password",
    ),
    "placeholder that nothing fills in": (
        '"{port}"', '"{prot}"',
        "25: services.chat.variants.llama.target.command[2] is '{prot}', has {prot}, which nothing fills "
        "in; there are {port}, {python}, {state_dir}, {replica_id}, {catalogue_dir}",
    ),
    "home": (
        "models/chat.gguf", "~/chat.gguf",
        "26: services.chat.variants.llama.target.required_files[0] is '~/chat.gguf', must be absolute or "
        "from the catalogue's folder; ~ is not filled in",
    ),
    "model name with a space": (
        "my-chat]", '"my chat"]',
        "9: services.chat.models[1] is 'my chat', must be 1 to 200 printable ASCII characters without "
        "spaces",
    ),
    # across keys
    "tier that is not there": (
        "    owner: me\n    tier: gold", "    tier: golde",
        "10: services.chat.tier is 'golde', which is not declared under tiers; did you mean 'gold'?",
    ),
    "pool that is not there": (
        "        pool: desk\n        memory: 2GiB", "        pool: rack\n        memory: 2GiB",
        "17: services.chat.variants.llama.pool is 'rack', which is not declared under pools; declared "
        "are: desk",
    ),
    "quota that is not there": (
        "        pool: desk\n        memory: 2GiB", "        pool: desk\n        quota: lent\n        memory: 2GiB",
        "18: services.chat.variants.llama.quota is 'lent', but nothing is declared under quotas; add it there",
    ),
    "reserve of everything": (
        "reserve: 4GiB", "reserve: 24GiB",
        "4: pools.desk.reserve is 24GiB, must be under the capacity of 24GiB",
    ),
    "device of unified memory": (
        "reserve: 4GiB", "device: 0",
        "4: pools.desk.device belongs to a discrete pool; unified memory is the machine's",
    ),
    "device that is none": (
        "reserve: 4GiB", "device: cuda",
        "4: pools.desk.device is 'cuda', must be an index such as 0, or a UUID such as GPU-1a2b… of "
        "`nvidia-smi -L`",
    ),
    "larger than its pool": (
        "memory: 1GiB", "memory: 21GiB",
        "35: services.embed.variants.fixed.memory is 21GiB, but pool 'desk' has only 20GiB to give",
    ),
    "minimum over maximum": (
        "max_replicas: 3", "max_replicas: 0",
        "21: services.chat.variants.llama.max_replicas is 0, must be at least min_replicas, which is 1",
    ),
    "command without its port": (
        '"{port}"', '"8000"',
        "25: services.chat.variants.llama.target.command has no {port}; the engine must listen on the "
        "port Foresail gives it, e.g. --port {port}",
    ),
    "latency without a threshold": (
        "threshold: 1s, ", "",
        "13: services.chat.objectives[0] has no 'threshold', which time_to_first_token requires, e.g. 1s",
    ),
    "availability with a threshold": (
        "{sli: availability,", "{sli: availability, threshold: 1s,",
        "30: services.embed.objectives[0].threshold is not allowed for availability; only latencies have "
        "one",
    ),
    "model of two services": (
        "models: [chat, my-chat]", "models: [chat, embed]",
        "27: services.embed serves the model name 'embed', which service 'chat' has already",
    ),
    "replicas of a url": (
        "slots: 8", "slots: 8\n        max_replicas: 2",
        "37: services.embed.variants.fixed.max_replicas is 2, must be 1, the number of urls, or be left "
        "out: Foresail does not start or stop these",
    ),
    "going down asks for going up": (
        "version: 1", "version: 1\ncontrol: {scale_in_utilisation: 95%}",
        "2: control.scale_in_utilisation is 0.95, must be at most utilisation_target (0.9), or replicas would "
        "go and come in turn",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_a_mistake_is_told_in_one_line(old: str, new: str, message: str) -> None:
    assert told(broken(old, new)) == [message]


WHOLE = {
    "empty": (b"", "1: the file is empty; `foresail init` writes one to start from"),
    "comments only": (b"# nothing\n", "1: the file is empty; `foresail init` writes one to start from"),
    "a list": (b"- a\n", "1: the file must be a mapping (lines of `key: value`)"),
    "text": (b"hello", "1: the file must be a mapping (lines of `key: value`)"),
    "a tab": (b"version: 1\npools:\n\tdesk: 1\n", "3: is indented with a tab; use spaces"),
    "latin 1": (b"version: 1\n# caf\xe9\n", "2: byte 0xe9 is not UTF-8; save the file as UTF-8"),
    "a control character": (
        b"version: 1\nx: \x07\n",
        "2: has a control character, which YAML does not allow",
    ),
    "a bracket left open": (
        b"version: [1\npools: {}\n",
        "2: is not valid YAML: did not find expected ',' or ']'",
    ),
    "two documents": (
        b"version: 1\n---\nversion: 1\n",
        "2: is not valid YAML: but found another document",
    ),
    "an unknown alias": (b"version: *one\n", "1: is not valid YAML: found undefined alias"),
    "a python object": (
        b"!!python/object:os.system {}\n",
        "1: the file must be a mapping (lines of `key: value`)",
    ),
    "deep nesting": (b"a: " + b"[" * 5000, "1: is nested more than 24 levels deep"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "message"), WHOLE.values(), ids=WHOLE.keys())
def test_a_file_that_cannot_be_read_at_all_is_told_in_one_line(
    content: bytes, message: str
) -> None:
    assert told(content) == [message]


def test_every_problem_is_told_at_once_in_the_order_of_the_file() -> None:
    content = broken("slots: 4", "slots: 0\n        sluts: 3").replace(
        b"tier: gold", b"teir: gold", 1
    )
    assert [line.split(":")[0] for line in told(content)] == ["8", "11", "19", "20"]


def test_problems_beyond_twenty_are_counted() -> None:
    many = "".join(f"  Bad{index}: {{}}\n" for index in range(30))
    lines = told(broken("tiers:\n", "tiers:\n" + many))
    assert len(lines) == 21
    assert lines[-1] == " and 40 more"


def test_an_alias_that_contains_itself_is_refused() -> None:
    lines = told(broken("models: [chat, my-chat]", "models: &all [chat, *all]"))
    assert lines == ["9: services.chat.models[1] contains itself through an alias"]


def test_aliases_that_double_themselves_are_refused() -> None:
    levels = "".join(f"  - &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 10))
    content = b"bomb:\n  - &l0 [x]\n" + levels.encode()
    assert any(
        line.endswith("aliases repeat more than 10000 values; write them out")
        for line in told(content)
    )


def test_nothing_secret_or_long_is_repeated() -> None:
    (line,) = told(broken("owner: me", f"owner: [{'x' * 500}]"))
    assert len(line) < 120
    (line,) = told(broken("mode: active", f'mode: "{"y" * 500}\\n"'))
    assert "\n" not in line
    assert len(line) < 200


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.yaml", "there is no such file; `foresail init` writes one to start from"),
        (".", "is not a file"),
        ("\0", "cannot be read: embedded null byte"),
    ],
)
def test_a_path_that_is_no_file_is_told_in_one_line(
    tmp_path: Path, name: str, message: str
) -> None:
    path = tmp_path / name
    with pytest.raises(CatalogueError) as caught:
        read_catalogue(path)
    assert str(caught.value) == f"{path}: {message}"


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.yaml"
    with path.open("wb") as file:
        file.truncate(17 * 2**20)
    with pytest.raises(CatalogueError, match="is larger than 16 MiB, the most that is read"):
        read_catalogue(path)


def test_the_path_is_told_as_it_was_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.yaml").write_bytes(broken("version: 1", "version: 3"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CatalogueError) as caught:
        read_catalogue(Path("mine.yaml"))
    assert str(caught.value) == "mine.yaml:1: version is 3, must be 1"
