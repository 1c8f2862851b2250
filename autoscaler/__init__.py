"""What should happen: one pure `decide`, and the shell that carries decisions out and records them.

Imports `collector`; is imported by `foresail` only.
"""
