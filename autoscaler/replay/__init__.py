"""Replay: recorded traffic against simulated engines, decided by the same code as live control."""
