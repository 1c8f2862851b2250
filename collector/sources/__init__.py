"""Adapters that read the world. Named by `foresail.wiring` only; they compute nothing."""
