"""Write ``.env.example`` and ``docs/reference/settings.md`` from the settings themselves: ``python tests/house/settings_pages.py``."""

from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo

from prosa.conf import Settings

ROOT = Path(__file__).parents[2]
ENV_EXAMPLE = ROOT / ".env.example"
REFERENCE = ROOT / "docs" / "reference" / "settings.md"


def names(field: FieldInfo) -> list[str]:
    assert isinstance(field.validation_alias, AliasChoices)
    return [str(choice) for choice in field.validation_alias.choices]


def default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, SecretStr) or value in ("", ()):
        return ""
    return {True: "1", False: "0"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def env_example() -> str:
    lines = [
        "# Copy to .env and fill in what you need; everything has a default. Each NAME may also be NAME_FILE, a file holding the value.",
        "",
    ]
    for field in Settings.model_fields.values():
        lines += [f"# {field.description}", f"#{names(field)[0]}={default(field)}", ""]
    return "\n".join(lines)


def reference() -> str:
    lines = [
        "# Settings",
        "",
        "Read from the environment, then from a `.env` file in the working directory. Each `NAME` may also be given as `NAME_FILE`,",
        "the path of a file that holds the value. A wrong value stops the start with the variable's name and what it should be.",
        "",
        "<!-- Written by tests/house/settings_pages.py; do not edit. -->",
        "",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for field in Settings.model_fields.values():
        first, *others = names(field)
        also = f" (also `{'`, `'.join(others)}`)" if others else ""
        shown = f"`{default(field)}`" if default(field) else ""
        lines.append(f"| `{first}`{also} | {shown} | {(field.description or '').replace('|', '&#124;')} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    ENV_EXAMPLE.write_text(env_example(), "utf-8")
    REFERENCE.parent.mkdir(parents=True, exist_ok=True)
    REFERENCE.write_text(reference(), "utf-8")
