"""`python -m spec_kitty_orchestrator`: the same as the command."""

from .cli.main import run

if __name__ == "__main__":
    run()
