"""From needs to actions: sizing, allocation of memory, the scale-in guard, the choice. Pure."""
