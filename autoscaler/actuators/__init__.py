"""Adapters that change the world: engine processes and the gateway's routes."""
