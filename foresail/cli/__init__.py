"""The command `foresail`. Files here print, and import late, so that `--help` answers at once."""
