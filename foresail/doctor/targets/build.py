"""Asks an engine for its build, where its contract says that anybody may.

In: an address and the path. Out: what it told, as the controller takes it. Before a visit reads a page
that some builds take for use; judges nothing.
"""

from dataclasses import dataclass
from typing import Final

from collector.engine_versions import EngineAnswer, VersionQuestion, engine_answer
from collector.model.contract import Endpoint
from collector.model.ids import ReplicaId
from collector.model.reading import MissingReason
from collector.ports import Exposition, ExpositionReader
from foresail.doctor.targets.address import Address

REFUSALS: Final = frozenset({401, 403})
"""Answers of somebody who wants a key."""
_NO_SUCH_PATH: Final = frozenset({404, 405, 501})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What an engine answered when it was asked for its build."""

    url: str  # that was asked
    answer: EngineAnswer
    exposition: Exposition

    @property
    def version(self) -> str | None:
        """As it says; None where it says nothing, or b0."""
        told = self.answer.version
        return None if isinstance(told, MissingReason) else told

    @property
    def is_of_engine(self) -> bool:
        """Whether a build was told, were it b0: nobody else has that field."""
        return self.version is not None or self.answer.version is MissingReason.CANNOT_SEE

    @property
    def is_refusal(self) -> bool:
        """Whether nobody answered, or somebody who wants a key."""
        reply = self.exposition.reply
        return self.exposition.text is None and (reply is None or reply.status in REFUSALS)

    @property
    def is_elsewhere(self) -> bool:
        """Whether it has no such path: a build from before there was sleep, or another engine."""
        reply = self.exposition.reply
        return self.exposition.text is None and reply is not None and reply.status in _NO_SUCH_PATH


async def ask_build(reader: ExpositionReader, *, address: Address, endpoint: Endpoint) -> Told:
    """What is told at the endpoint, which lies beside the page where that has a path of its own."""
    prefix = (address.path or "").removesuffix("/metrics") if _is_page(address.path) else ""
    question = VersionQuestion(
        replica_id=ReplicaId(address.name),
        base_url=f"{address.base_url}{prefix}",
        endpoint=endpoint,
        keep_alive=False,  # whose server it is shows only afterwards
    )
    target = question.target
    exposition = (await reader.read_expositions([target]))[target.key]
    return Told(
        url=target.url,
        answer=engine_answer(exposition, endpoint=endpoint),
        exposition=exposition,
    )


def _is_page(path: str | None) -> bool:
    return path is not None and path.endswith("/metrics")
