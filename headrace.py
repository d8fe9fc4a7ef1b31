"""The command line: `./headrace COMMAND`. Composes the rooms; data goes to stdout, everything else to stderr."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import quality
from cli.errors import reported
from runtime.settings import load_settings

if TYPE_CHECKING:
    from cli.system import System

app = typer.Typer(
    help="Headrace: events in through GraphQL, features out, milliseconds later.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
features_app = typer.Typer(help="The feature catalogue and its values.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(features_app, name="features")
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def say(line: str) -> None:
    """Progress goes to stderr."""
    print(f"headrace: {line}", file=sys.stderr, flush=True)


@app.command()
def demo(
    events: Annotated[int, typer.Option(min=100, help="How many events to send.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Seed of the traffic.")] = 7,
    rate: Annotated[int, typer.Option(min=1, help="Events per second.")] = 2_000,
    once: Annotated[bool, typer.Option("--once", help="Stop afterwards what this command has started.")] = False,
    as_json: Json = False,
) -> None:
    """Start everything, send realistic shopping traffic, and verify every user's features."""
    from cli.demo import demo as run_demo

    with reported():
        ok = run_demo(load_settings(), events=events, seed=seed, rate=rate, once=once, as_json=as_json, report=say)
    raise typer.Exit(0 if ok else 1)


@app.command()
def up(
    api: Annotated[int | None, typer.Option(min=1, help="How many APIs; they share a port.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="How many workers.")] = None,
    as_json: Json = False,
) -> None:
    """Start Kafka, Cassandra, APIs and workers, or adjust their numbers; return when all is ready."""
    from cli.system import System

    with reported():
        system = System(load_settings(), say)
        system.up(apis=api, workers=workers)
        print_status(system, as_json=as_json)


@app.command()
def down() -> None:
    """Stop everything that runs here, orderly."""
    from cli.system import System

    with reported():
        System(load_settings(), say).down()


@app.command()
def status(as_json: Json = False) -> None:
    """Show what runs here."""
    from cli.system import System

    with reported():
        print_status(System(load_settings(), say), as_json=as_json)


@app.command()
def migrate(as_json: Json = False) -> None:
    """Make the tables and topics that are missing. Safe to repeat."""
    from cli.migrate import migrate as run_migrate

    with reported():
        made = run_migrate(load_settings())
    if as_json:
        print(json.dumps({"tables": made.tables, "topics": made.topics}))
    else:
        say(f"made {', '.join([*made.tables, *made.topics]) or 'nothing: all there'}")


@app.command()
def api() -> None:
    """Run one API process in the foreground."""
    from cli.api import run

    with reported():
        code = run(load_settings())
    raise typer.Exit(code)


@app.command()
def worker() -> None:
    """Run one worker process in the foreground."""
    from cli.worker import run

    with reported():
        code = run(load_settings())
    raise typer.Exit(code)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def test(context: typer.Context) -> None:
    """Run every test on a real Kafka and a real Cassandra; arguments go to pytest."""
    raise typer.Exit(quality.test(context.args))


@app.command()
def check() -> None:
    """Lint, types, architecture, dependencies."""
    raise typer.Exit(0 if quality.check() else 1)


@app.command()
def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Of: graphql, ingest, worker, path, reads, freshness, growth, features. None: all.",
            metavar="[NAME]...",
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small sizes: shows that it works, not how fast.")] = False,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each side, by turns; medians are shown.")] = 5,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the tables as markdown.")] = False,
) -> None:
    """Measure Headrace beside its peers on servers of its own; results in .headrace/bench/."""
    from cli.bench import bench as run_bench

    with reported():
        run_bench(names or [], quick=quick, runs=runs, markdown=markdown, say=say)


@features_app.command("check")
def features_check(as_json: Json = False) -> None:
    """Show what the configured catalogue changes against the running version; refuse what it must not change."""
    from cli.features import check as run_check

    with reported():
        changes = run_check(load_settings())
    if as_json:
        print(json.dumps([dataclasses.asdict(change) for change in changes]))
        return
    print("\n".join(map(str, changes)) or "nothing has changed")


@features_app.command("explain")
def features_explain(
    user: Annotated[str, typer.Argument(help="The user's id.")],
    name: Annotated[str, typer.Argument(help="The feature's name, such as viewCount1h.")],
    as_json: Json = False,
) -> None:
    """Show where a feature's value comes from, and whether the timeline gives the same; exit code 1 if not."""
    from cli.features import explain as run_explain
    from cli.features import lines

    with reported():
        explained = run_explain(load_settings(), user, name)
    print(json.dumps(explained) if as_json else "\n".join(lines(user, name, explained)))
    raise typer.Exit(1 if explained["differs"] else 0)


@features_app.command("watch")
def features_watch(
    user: Annotated[str, typer.Argument(help="The user's id.")],
    names: Annotated[str, typer.Option(help="Only these features, separated by commas.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line for each change.")] = False,
) -> None:
    """Show a user's values, and then those that events change, until Ctrl-C."""
    from cli.watch import ChangedValues
    from cli.watch import watch as run_watch

    shown = ChangedValues()

    def show(change: dict[str, Any]) -> None:
        for line in [json.dumps(change)] if as_json else shown.lines(change):
            print(line, flush=True)

    chosen = [name.strip() for name in names.split(",") if name.strip()]
    with reported():
        run_watch(load_settings(), user, chosen or None, show, say)


def print_status(system: System, *, as_json: bool) -> None:
    """The status on stdout: one JSON object, or lines for eyes."""
    status = system.status()
    if as_json:
        print(json.dumps(status))
        return
    processes = status["processes"]
    assert isinstance(processes, list)
    for process in processes:
        ready = "ready" if process["ready"] else "not ready"
        megabytes = process["rssBytes"] // 2**20
        print(
            f"{process['name']:<12}{ready:<11}pid {process['pid']:<9}{megabytes:>5} MiB{process['uptimeSeconds']:>9} s"
        )
    died = status["died"]
    assert isinstance(died, list)
    for process in died:
        print(f"{process['name']:<12}died       see {process['log']}, then: ./headrace up")
    if not processes and not died:
        print("nothing runs here; start with: ./headrace up")
        return
    for line in system.address_lines():
        print(line)


if __name__ == "__main__":
    app()
