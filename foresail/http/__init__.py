"""The controller's HTTP app: health, metrics, state and decisions as data, and the live page. Reads only."""
