"""Foresail held against recorded demand before anything is switched on."""
