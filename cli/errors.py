"""What the command line answers when something is wrong: three lines and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from features import CatalogueError
from runtime.kafka_topics import KafkaUnavailable, TopicUnusable
from runtime.settings import UnknownSetting
from stack import NotReadyInTime, StackError
from storage import StoreError, StoreUnavailable

FAILURE: Final = 1
CONFIGURATION: Final = 3
DEPENDENCY: Final = 4
NOT_READY: Final = 5
CONTRACT: Final = 6
NOT_FOUND: Final = 7


class CommandFailed(Exception):
    """A command that cannot go on: what failed, the likely cause with its evidence, the command that helps."""

    def __init__(self, what: str, cause: str, remedy: str, *, code: int = FAILURE) -> None:
        super().__init__(f"{what}\n  {cause}\n  {remedy}")
        self.code = code


@contextmanager
def reported() -> Iterator[None]:
    """Turn the errors of all rooms into three lines on stderr and their exit code."""
    try:
        yield
    except ValidationError as error:
        first = error.errors()[0]
        name = "HEADRACE_" + "__".join(str(part) for part in first["loc"]).upper()
        _exit(
            f"setting {name} is not usable\n  {first['msg']}, got {first['input']!r}\n  see .env.example", CONFIGURATION
        )
    except (UnknownSetting, SettingsError) as error:
        _exit(f'a setting is not usable\n  {error}\n  see .env.example; lists are JSON: ["a", "b"]', CONFIGURATION)
    except CatalogueError as error:
        _exit(f"the feature catalogue is not usable\n  {error}\n  see docs/reference/config.md", CONFIGURATION)
    except NotReadyInTime as error:
        _exit(str(error), NOT_READY)
    except StackError as error:
        _exit(str(error), FAILURE)
    except (StoreUnavailable, KafkaUnavailable) as error:
        _exit(f"a dependency does not answer\n  {error}\n  ./headrace status shows what runs here", DEPENDENCY)
    except StoreError as error:
        _exit(f"the store is not usable\n  {error}\n  ./headrace migrate", FAILURE)
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        _exit(
            f"the system refused{where}\n  {error.strerror or error}\n  see that the directory can be written to",
            FAILURE,
        )
    except TopicUnusable as error:
        _exit(f"a topic is not usable\n  {error}\n  see docs/operations.md", CONTRACT)
    except CommandFailed as error:
        _exit(str(error), error.code)


def _exit(message: str, code: int) -> None:
    print(f"headrace: {message}", file=sys.stderr)
    raise typer.Exit(code)
