"""The front door: command line, settings, composition root, HTTP app, console page and the demo."""

__version__ = "0.1.0"
