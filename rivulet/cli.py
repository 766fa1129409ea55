"""The command ``rivulet``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from rivulet import MissingExtraError, __version__

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        match options.command:
            case "demo":
                _demo(plain=options.plain, as_json=options.json)
            case "version":
                print(f"rivulet {__version__}")
            case _:
                parser.print_help()
    except MissingExtraError as error:
        print(f"rivulet: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="rivulet", description="Streams of events in Python.")
    parser.add_argument("--version", action="version", version=f"rivulet {__version__}")
    commands = parser.add_subparsers(dest="command", title="commands", metavar="command")
    demo = commands.add_parser(
        "demo",
        help="a year of flights and weather as one stream: how late, and when",
        description=(
            "Play all flights that left New York in 2013 and the weather there as one stream of "
            "events, and show how late they left by weather, airline, hour and plane. Takes some "
            "ten seconds."
        ),
    )
    demo.add_argument("--plain", action="store_true", help="no progress, no colours, only ASCII")
    demo.add_argument("--json", action="store_true", help="all figures as JSON, and nothing else")
    commands.add_parser("version", help="show the version")
    return parser


def _demo(*, plain: bool, as_json: bool) -> None:
    if as_json:
        from rivulet.demo.figures import as_json as written
        from rivulet.demo.pipeline import measure

        print(written(asyncio.run(measure())))
    else:
        from rivulet.demo.report import demo

        demo(plain=plain)
