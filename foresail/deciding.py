"""Where `decide` is computed: on the loop while that is nothing, else beside it.

In: inputs, all of them values. Out: what was decided. A fleet's decision takes a second or two; held requests,
the page and the executor's effects go on meanwhile. What happens in between enters the state at the
next tick, as ever.
"""

import asyncio
from typing import Final

from autoscaler.decide import Decided, decide
from autoscaler.model.inputs import Inputs

MOST_SERVICES_ON_THE_LOOP: Final = 20
"""At 0.6 ms each (docs/benchmarks/decide.md); the loop is nobody's for more than 20 ms."""


async def decided(inputs: Inputs) -> Decided:
    """What `decide` says to the inputs."""
    if len(inputs.catalogue.services) <= MOST_SERVICES_ON_THE_LOOP:
        return _decide(inputs)
    return await asyncio.to_thread(_decide, inputs)


def _decide(inputs: Inputs) -> Decided:
    return decide(
        snapshot=inputs.snapshot,
        history=inputs.history,
        catalogue=inputs.catalogue,
        state=inputs.state,
        now=inputs.now,
    )
