"""The command line. Light: each command imports what it needs when it runs.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 130 interrupted. Results go to stdout, talk
to stderr.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys

from sdtui import __version__

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


class UsageProblem(Exception):
    """What was asked cannot be done as asked; the message says what to change. Exit code 2."""


def build_parser() -> argparse.ArgumentParser:
    """The parser of every command."""
    parser = argparse.ArgumentParser(
        prog="sdtui",
        description="Stable Diffusion on your own GPU box, in the terminal. "
        "Without a command the full-screen program starts.",
    )
    parser.add_argument("--version", action="version", version=f"sdtui {__version__}")
    parser.add_argument(
        "--home", metavar="DIR",
        help="folder that holds everything: models, outputs, presets, queue (also SDTUI_HOME)",
    )  # fmt: skip
    parser.add_argument(
        "--pictures", choices=("auto", "kitty", "blocks", "off"), default="auto",
        help="how pictures are drawn in the terminal (default: what it can do best)",
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text)

    one = add("generate", "Make pictures from a prompt.")
    one.add_argument("prompt", help="what the picture should show")
    one.add_argument("--negative", metavar="TEXT", help="what it should not show")
    one.add_argument("--preset", metavar="NAME", help="a preset's name or digit")
    one.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], dest="values",
        help="a parameter, e.g. steps=30; `sdtui params` lists them; may be repeated",
    )  # fmt: skip
    one.add_argument("-n", type=int, metavar="N", help="number of pictures: seed, seed+1, …")
    one.add_argument("--detach", action="store_true", help="queue it, print its id and leave")
    one.add_argument("--local", action="store_true", help="work in this process, without a backend")
    one.add_argument("--json", action="store_true", help="the result as JSON on stdout")

    one = add("info", "Show the settings stored in a picture.")
    one.add_argument("image")
    one.add_argument("--json", action="store_true")
    one = add("show", "Print a picture in the terminal.")
    one.add_argument("image")
    one = add("presets", "List presets, show one, or compare two.")
    one.add_argument("action", nargs="?", choices=("list", "show", "diff"), default="list")
    one.add_argument("names", nargs="*", metavar="NAME")
    one.add_argument("--json", action="store_true")
    one = add("params", "List every parameter with its range and what it does.")
    one.add_argument("--json", action="store_true")
    one = add("status", "What the backend is doing.")
    one.add_argument("--json", action="store_true")
    one = add("stop", "End the backend; the job in work is marked and can be retried.")
    one.add_argument("--after-job", action="store_true", help="let the running job end first")
    one = add("doctor", "Look at Python, torch, the GPU, the terminal, tmux, folders and disk.")
    one.add_argument("--json", action="store_true")
    return parser


MODULES = {
    None: "start", "generate": "generate", "info": "look", "show": "look", "presets": "look",
    "params": "look", "status": "manage", "stop": "manage", "doctor": "doctor",
}  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code."""
    arguments = build_parser().parse_args(argv)
    try:
        module = importlib.import_module(f"sdtui.cli.{MODULES[arguments.command]}")
        return int(module.run(arguments))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has left (`| head`); nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        return _said(error, arguments.home)


def _said(error: Exception, home: str | None) -> int:
    """One sentence for an error; the traceback of an unexpected one goes to the log."""
    from sdtui.library.places import PlaceError

    if isinstance(error, UsageProblem | PlaceError):
        return say_error(str(error), USAGE)
    from sdtui.backend.errors import BackendError

    if isinstance(error, BackendError):
        return say_error(str(error), USAGE if error.error.code == "usage" else FAILED)
    where = _log(home)
    return say_error(
        f"an error in the program: {type(error).__name__}: {error}" + (f" (see {where})" if where else ""),
        FAILED,
    )


def _log(home: str | None) -> str:
    """Append the traceback in hand to the terminal log; its path, or “” if that is not possible."""
    import logging

    from sdtui.library.places import find_places

    path = find_places(home).terminal_log
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path)
    except OSError:
        return ""
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger = logging.getLogger("sdtui.cli")
    logger.addHandler(handler)
    logger.propagate = False
    logger.exception("unexpected")
    return str(path)


def say_error(text: str, code: int) -> int:
    """One line on stderr; gives the exit code back."""
    print(f"sdtui: {text}", file=sys.stderr)
    return code
