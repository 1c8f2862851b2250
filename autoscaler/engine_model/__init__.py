"""How long one continuously batching engine takes for its work: a pure model, stepped by events."""
