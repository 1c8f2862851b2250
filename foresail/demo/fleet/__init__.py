"""`foresail demo --fleet`: six services on eight GPUs in a replay, Foresail beside one peer."""
