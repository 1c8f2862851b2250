"""The rules: an expression and a context in, remarks out. Pure.

`RULES` is all that look at one expression alone; what concerns a whole file is in `foresail.lint.run`.
"""

from collections.abc import Callable, Iterator

from foresail.lint.context import Context
from foresail.lint.expression import Node
from foresail.lint.finding import Remark
from foresail.lint.rules.arithmetic import double_count, sum_of_ratios, unguarded_division
from foresail.lint.rules.buckets import label_le, threshold_inside_bucket
from foresail.lint.rules.labels import labels
from foresail.lint.rules.names import names
from foresail.lint.rules.quantiles import aggregated_quantile, quantile_input, quantile_of_average
from foresail.lint.rules.types import counter_without_rate, rate_on_gauge

Rule = Callable[[Node, Context], Iterator[Remark]]

EXISTENCE: tuple[Rule, ...] = (names, labels)
"""What also holds where only series are listed, as in a dashboard's variables."""

RULES: tuple[Rule, ...] = (
    *EXISTENCE,
    rate_on_gauge,
    counter_without_rate,
    quantile_input,
    quantile_of_average,
    aggregated_quantile,
    sum_of_ratios,
    unguarded_division,
    double_count,
    label_le,
    threshold_inside_bucket,
)

__all__ = ["EXISTENCE", "RULES", "Rule"]
