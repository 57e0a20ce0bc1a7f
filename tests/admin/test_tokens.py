"""The design tokens promise readable text: WCAG AA, computed."""

import re
from pathlib import Path

import pytest

import prosa

CSS = (Path(prosa.__file__).parent / "business/static/prosa/tokens.css").read_text("utf-8")
BLOCKS = {
    name: dict(re.findall(r"--prosa-([\w-]+):\s*(#[0-9a-f]{6})", block))
    for name, block in zip(("light", "system-dark", "dark"), re.findall(r"\{([^{}]+)\}", CSS), strict=True)
}
PAIRS = [
    ("text", "bg"), ("text", "surface"), ("text", "bubble-in"), ("text", "bubble-out"), ("muted", "bg"), ("muted", "surface"), ("muted", "bubble-out"),
    ("accent", "surface"), ("accent", "bg"), ("accent", "bubble-out"), ("accent", "accent-soft"), ("accent-text", "accent"), ("danger", "surface"), ("danger", "danger-soft"),
    ("warning", "warning-soft"), ("warning", "surface"),
]  # fmt: skip


def luminance(colour):
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("theme", BLOCKS)
@pytest.mark.parametrize(("front", "back"), PAIRS)
def test_contrast(theme, front, back):
    one, other = sorted((luminance(BLOCKS[theme][front]), luminance(BLOCKS[theme][back])))
    assert (other + 0.05) / (one + 0.05) >= 4.5


def test_both_ways_to_dark_are_the_same():
    assert BLOCKS["dark"] == BLOCKS["system-dark"]
