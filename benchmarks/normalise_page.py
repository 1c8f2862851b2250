"""docs/benchmarks/normalise.md, of which two benchmarks write one section each."""

import re
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs/benchmarks/normalise.md"
_HEAD = """# What reading metric pages costs

Renew it with `.venv/bin/python benchmarks/bench_normalise.py --write` and
`.venv/bin/python benchmarks/bench_scrape.py --write`.
"""


def write_section(title: str, text: str) -> None:
    """Replaces the section of that title, or adds it at the end."""
    page = PAGE.read_text() if PAGE.is_file() else _HEAD
    head, *sections = re.split(r"(?m)^(?=## )", page)
    kept = [section.rstrip() for section in sections if not section.startswith(f"## {title}\n")]
    parts = [head.rstrip(), *sorted([*kept, text.rstrip()])]
    PAGE.write_text("\n\n".join(parts) + "\n")
