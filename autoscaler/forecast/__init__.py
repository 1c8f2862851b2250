"""Demand and how it will go on. Pure."""
