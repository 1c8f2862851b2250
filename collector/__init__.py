"""What is true now: reads engines, gateway and machine, and joins them into one Snapshot.

Lowest layer of the house: it imports nothing of the other packages.
"""
