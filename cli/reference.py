"""Writes what is made from a catalogue: the reference page of its features and the JSON Schema of the features topic.

`python -m cli.reference` writes those of the shipped catalogue below `docs/reference`; a test compares. For another
catalogue: `python -m cli.reference my_shop.features:CATALOGUE DIRECTORY`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Final

from cli.system import ROOT
from features import load_catalogue
from features.record_schema import record_schema
from features.reference import reference_page

SHIPPED: Final = "features.default:CATALOGUE"
DIRECTORY: Final = Path("docs/reference")
PAGE: Final = "features.md"
SCHEMA: Final = "features-record.schema.json"


def documents(source: str) -> dict[str, str]:
    """Each file's name and text for the catalogue that `module:NAME` names. Raises CatalogueError."""
    catalogue = load_catalogue(source)
    return {
        PAGE: reference_page(catalogue, source, SCHEMA),
        SCHEMA: json.dumps(record_schema(catalogue), indent=2, ensure_ascii=False) + "\n",
    }


def write(source: str, directory: Path) -> None:
    """Write them into `directory`. Raises CatalogueError."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in documents(source).items():
        (directory / name).write_text(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write the reference of a feature catalogue and its record's schema.")
    parser.add_argument("catalogue", nargs="?", default=SHIPPED, help="module:NAME")
    parser.add_argument("directory", nargs="?", default=ROOT / DIRECTORY, type=Path, help="where both files go")
    arguments = parser.parse_args()
    if arguments.catalogue != SHIPPED and arguments.directory == ROOT / DIRECTORY:
        parser.error("a catalogue of your own needs a DIRECTORY of its own")
    write(arguments.catalogue, arguments.directory)
