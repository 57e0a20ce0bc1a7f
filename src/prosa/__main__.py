"""``prosa`` and ``python -m prosa``."""

from __future__ import annotations

from prosa.cli import main

if __name__ == "__main__":
    main()
