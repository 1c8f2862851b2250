"""Whether a look at an engine's metric page leaves a model that sleeps when idle asleep. Pure.

In: what an engine told of itself, its contract, and how it is started. Out: why its page is not read, or
None. For the controller's observer, the node agent and the doctor, which ask for the version before they
read such a page. Where nobody can say, the page stays unread: an observer that keeps a model awake takes
memory from all others.
"""

from collector.engine_versions import EngineAnswer
from collector.model.catalogue import ProcessTarget, Variant
from collector.model.contract import Contract, version_numbers
from collector.model.reading import MissingReason


def why_unread(
    contract: Contract, *, answer: EngineAnswer | None, is_known_awake: bool = False
) -> str | None:
    """Why the page must not be read, one line; None where reading it changes nothing.

    `answer` is what the engine told when it was asked for its version; None: nothing so far.
    `is_known_awake`: `is_started_awake` of what started it; decides where the build is not known.
    """
    if not contract.has_unsafe_pages or (answer is not None and answer.never_sleeps):
        return None
    if answer is None or answer.version is MissingReason.SOURCE_UNREACHABLE:
        return f"its metric page is not read before it has told its build: {_RISK}"
    build = _build(answer.version)
    if build is not None:
        is_safe = contract.metrics_path(build) is not None
        why = f"its metric page is not read in build {answer.version}"
    else:
        is_safe = is_known_awake
        why = "its build is not known, so its metric page is not read"
    return None if is_safe else f"{why}: {_RISK}; {_HELP}"


_RISK = "older builds keep a model awake that is to sleep when idle"
_HELP = "run a newer build that tells its number"


def _build(version: str | MissingReason) -> tuple[int, ...] | None:
    """The numbers of the version; None where there is none."""
    try:
        return None if isinstance(version, MissingReason) else version_numbers(version)
    except ValueError:
        return None


def is_started_awake(variant: Variant, *, contract: Contract) -> bool:
    """Whether we start it ourselves, and without a word that lets it sleep when idle."""
    target = variant.target
    if not isinstance(target, ProcessTarget):
        return False
    words = (*target.command, *target.environment)
    return not any(known in word for word in words for known in contract.idle_sleep_words)
