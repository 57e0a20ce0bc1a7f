"""``prosa`` and ``python -m prosa``."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from prosa.cli import app

    app()


if __name__ == "__main__":
    main()
