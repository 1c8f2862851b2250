"""Decided things as frozen values: actions, decisions, learned state, effects. No I/O."""
