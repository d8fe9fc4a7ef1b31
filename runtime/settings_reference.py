"""Renders the reference of all settings and the example `.env` from the Settings model, so that neither can lag behind.

Pure but for `python -m runtime.settings_reference`, which writes both files; a test compares them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

from runtime.settings import Settings

REFERENCE: Final = Path("docs/reference/config.md")
EXAMPLE: Final = Path(".env.example")

_INTRODUCTION: Final = """\
# Settings

Every process reads these environment variables when it starts. What the environment does not say is taken from a file
`.env` in the working directory (see `.env.example`), and what that does not say either has the default below. A value
that cannot be used ends the process with exit code 3 and three lines that name the variable.

This page is made from `runtime/settings.py`: `python -m runtime.settings_reference`.
"""
_EXAMPLE_INTRODUCTION: Final = """\
# Copy to .env and uncomment what differs; each line shows the default. The environment goes before this file.
# Made from runtime/settings.py: python -m runtime.settings_reference
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One environment variable. `default` is written as the variable would hold it."""

    variable: str
    default: str
    constraint: str
    description: str


@dataclass(frozen=True, slots=True)
class Group:
    """The settings of one part of the system."""

    name: str
    description: str
    settings: tuple[Setting, ...]


def groups() -> list[Group]:
    """Every setting there is, in the order of the model."""
    prefix = str(Settings.model_config["env_prefix"])
    delimiter = str(Settings.model_config["env_nested_delimiter"])
    return [
        Group(name, _sentence(model), tuple(_settings(model, f"{prefix}{name}{delimiter}"))) for name, model in _parts()
    ]


def reference() -> str:
    """docs/reference/config.md."""
    return "\n".join([_INTRODUCTION, *(_section(group) for group in groups())])


def example() -> str:
    """.env.example: every setting, commented out."""
    return "\n".join([_EXAMPLE_INTRODUCTION, *(_example_section(group) for group in groups())])


def _parts() -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in Settings.model_fields.items():
        assert isinstance(field.annotation, type), name
        assert issubclass(field.annotation, BaseModel), f"{name} belongs into one of the parts"
        yield name, field.annotation


def _sentence(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip()


def _settings(model: type[BaseModel], prefix: str) -> Iterator[Setting]:
    for name, schema in model.model_json_schema()["properties"].items():
        yield Setting(
            f"{prefix}{name}".upper(), _as_text(schema["default"]), _constraint(schema), schema.get("description", "")
        )


def _as_text(default: object) -> str:
    return default if isinstance(default, str) else json.dumps(default)


def _constraint(schema: dict[str, Any]) -> str:
    match schema:
        case {"type": "integer" | "number", "minimum": low, "maximum": high}:
            return f"{low} to {high}"
        case {"type": "integer" | "number", "minimum": low}:
            return f"at least {low}"
        case {"type": "integer" | "number", "maximum": high}:
            return f"at most {high}"
        case {"type": "integer"}:
            return "whole number"
        case {"type": "number"}:
            return "number"
        case {"type": "boolean"}:
            return "`true` or `false`"
        case {"type": "array"}:
            return "JSON list"
        case {"pattern": pattern}:
            return f"matches `{pattern}`"
        case _:
            return "path" if schema.get("format") == "path" else "text"


def _section(group: Group) -> str:
    rows = [("variable", "default", "value", "meaning"), ("---",) * 4]
    rows += [(f"`{each.variable}`", f"`{each.default}`", each.constraint, each.description) for each in group.settings]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return f"## {group.name}\n\n{group.description}\n\n" + "\n".join(lines) + "\n"


def _example_section(group: Group) -> str:
    lines = [f"# --- {group.name}: {group.description}", ""]
    for each in group.settings:
        lines += [f"# {each.description} ({each.constraint.replace('`', '')})", f"#{each.variable}={each.default}"]
    return "\n".join(lines) + "\n"


def write(root: Path) -> None:
    """Write both files below `root`."""
    for path, text in ((REFERENCE, reference()), (EXAMPLE, example())):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


if __name__ == "__main__":
    write(Path(__file__).resolve().parent.parent)
