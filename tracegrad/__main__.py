"""The command line: `tracegrad demo`, `tracegrad show` and `tracegrad cache`; also `python -m tracegrad`. Begin with
`main`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

import tracegrad
from tracegrad import cache, demo, show
from tracegrad.errors import TracegradError
from tracegrad.report.terminal import Screen


class _Version(argparse.Action):
    """Says the version; it is looked up when somebody asks."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        print(f"tracegrad {tracegrad.__version__}")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """The commands and what they take."""
    top = argparse.ArgumentParser(prog="tracegrad", description="Gradients of NumPy functions.")
    top.add_argument("--version", action=_Version, nargs=0, help="the version of tracegrad")
    commands = top.add_subparsers(dest="command", required=True)
    commands.add_parser("demo", help="a function with an if and a while, its gradient and the source of it")
    shown = commands.add_parser("show", help="value, gradient and sources of a function of yours")
    shown.add_argument("target", metavar="FILE.py:function")
    shown.add_argument(
        "--args",
        default="",
        metavar="VALUES",
        help='what to call it with, as in "3.0, [1, 2]": floats and lists are differentiated, ints are not',
    )
    kept = commands.add_parser("cache", help="what is kept on disk for later processes")
    actions = kept.add_subparsers(dest="action", required=True)
    for name, meaning in cache.COMMANDS.items():
        actions.add_parser(name, help=meaning)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    chosen = parser().parse_args(arguments)
    screen = Screen()
    try:
        if chosen.command == "demo":
            demo.run(screen)
        elif chosen.command == "cache":
            cache.run(chosen.action, screen)
        else:
            show.run(chosen.target, chosen.args, screen)
    except TracegradError as error:
        print(f"tracegrad: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
