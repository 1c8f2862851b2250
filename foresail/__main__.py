"""`python -m foresail` is `foresail`; the supervisor starts its children this way."""

from foresail.cli.main import run

if __name__ == "__main__":
    run()
