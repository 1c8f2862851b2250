"""Reads pages and remembers their outlines, never their answers: the quick way through `normalise`.

Pages of one target differ in their values and seldom in anything else. For each outline seen the
recipe is kept, so that a further page costs the splitting of its lines and the arithmetic. A page that
is not plain and whole goes through `read_page`, and both ways give equal readings on every page.
Belongs to the shell that makes it (`Observer`); does no I/O. One thread at a time.
"""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from collector.model.contract import Contract
from collector.model.page import PageIdentity, PageReadings
from collector.normalise.exposition import parsed_series, split_exposition
from collector.normalise.page import read_page, recipe_readings
from collector.normalise.recipe import Outline, Recipe, Series, page_recipe

_LINE_BYTES = 200
_CELL_BYTES = 300
"""Upper bounds of what a recipe holds for a line beside its text, and for a reading."""

_Key = tuple[str, tuple[int, ...] | None, bytes]


class _Known(NamedTuple):
    contract: Contract
    recipe: Recipe
    weight: int


class PageReader:
    """Like `read_page`, in a fraction of the time once an outline is known."""

    def __init__(self, *, max_remembered_bytes: int = 256 << 20) -> None:
        """Forgets the outlines not seen for longest beyond about `max_remembered_bytes`.

        A thousand vLLM pages with different labels weigh about half of the default.
        """
        self._max_weight = max_remembered_bytes
        self._weight = 0
        self._known: OrderedDict[_Key, _Known] = OrderedDict()

    @property
    def remembered_outline_count(self) -> int:
        """How many outlines are known now."""
        return len(self._known)

    @property
    def remembered_bytes(self) -> int:
        """An upper estimate of what they take."""
        return self._weight

    def __call__(
        self,
        text: str,
        *,
        contract: Contract,
        identity: PageIdentity,
        observed_timestamp_seconds: float,
    ) -> PageReadings:
        """A reading for every signal the contract names. Raises nothing, whatever the page holds."""
        found = split_exposition(text)
        recipe = found and self._recipe(found[0], contract=contract, identity=identity)
        if not found or not recipe:
            return read_page(
                text,
                contract=contract,
                identity=identity,
                observed_timestamp_seconds=observed_timestamp_seconds,
            )
        return recipe_readings(
            recipe,
            values=found[1],
            identity=identity,
            observed_timestamp_seconds=observed_timestamp_seconds,
        )

    def _recipe(
        self, series: Sequence[str], *, contract: Contract, identity: PageIdentity
    ) -> Recipe | None:
        """The recipe of this outline; None when a line cannot be read or a series stands twice."""
        text = "\n".join(series).encode("utf-8", errors="surrogatepass")
        # A digest instead of the text: an outline has some 50 KB, and collisions cannot be made.
        key = (contract.engine, identity.engine_version, blake2b(text, digest_size=16).digest())
        known = self._known.get(key)
        if known is not None and known.contract is contract:
            self._known.move_to_end(key)
            return known.recipe
        outline = _outline(series, dropped_suffixes=contract.dropped_suffixes)
        if outline is None:
            return None
        recipe = page_recipe(outline, contract=contract, engine_version=identity.engine_version)
        cells = len(recipe.numbers) + len(recipe.histograms) + len(recipe.states)
        weight = len(text) + _LINE_BYTES * len(series) + _CELL_BYTES * cells
        self._remember(key, _Known(contract, recipe, weight))
        return recipe

    def _remember(self, key: _Key, known: _Known) -> None:
        replaced = self._known.pop(key, None)
        self._weight -= replaced.weight if replaced else 0
        if known.weight > self._max_weight // 4:
            return  # one huge page must not push out all others
        self._known[key] = known
        self._weight += known.weight
        while self._weight > self._max_weight:
            _, oldest = self._known.popitem(last=False)
            self._weight -= oldest.weight


def _outline(texts: Sequence[str], *, dropped_suffixes: tuple[str, ...]) -> Outline | None:
    series: list[Series | None] = []
    for text in texts:
        found = parsed_series(text)
        if found is None:
            return None
        series.append(None if found[0].endswith(dropped_suffixes) else found)
    told = [each for each in series if each is not None]
    return Outline(series=series) if len(set(told)) == len(told) else None
