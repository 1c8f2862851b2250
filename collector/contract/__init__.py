"""What each engine's metric page means, as data (`*.yaml`) and its reader (`loader`)."""
