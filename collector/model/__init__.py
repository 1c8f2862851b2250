"""Observed and declared facts as frozen values. No I/O, no clock, no library objects."""
