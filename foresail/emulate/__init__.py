"""Emulated engines: processes that speak vLLM's HTTP and metrics, timed by the engine model."""
