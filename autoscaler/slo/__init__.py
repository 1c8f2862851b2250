"""How well the objectives are met, from history. Pure."""
