"""The command line. Light: each command imports what it needs when it runs.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 130 interrupted. Results go to stdout, talk
to stderr.
"""

from __future__ import annotations

import argparse
import codecs
import importlib
import io
import json
import os
import sys
import time
import traceback

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
    parser.add_argument(
        "--a1111", metavar="DIR", action="append", default=[], dest="a1111",
        help="use the models of AUTOMATIC1111 or Forge in DIR in place; remembered in config.yaml",
    )  # fmt: skip
    parser.add_argument(
        "--comfy", metavar="DIR", action="append", default=[],
        help="use the models of ComfyUI in DIR, or those an extra_model_paths.yaml names",
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=text, description=text)
        # After the command as well as before it; unset here must not hide what was said before.
        one.add_argument("--home", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        return one

    one = add("generate", "Make pictures from a prompt; their paths are printed.")
    one.add_argument(
        "prompt", nargs="?",
        help="what the picture should show; - reads it from standard input",
    )  # fmt: skip
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
    one = add("models", "List checkpoints, LoRAs, VAEs and other models, and what each file is.")
    one.add_argument(
        "kind", nargs="?",
        choices=("checkpoint", "lora", "vae", "embedding", "upscaler", "text-encoder"),
    )  # fmt: skip
    one.add_argument("--hashes", action="store_true", help="with hashes as Civitai shows them")
    one.add_argument("--json", action="store_true")
    one = add("trust", "Allow a model file in pickle format (.ckpt, .pt …) to be read.")
    one.add_argument("files", nargs="+", metavar="FILE")
    one = add("status", "What the backend is doing.")
    one.add_argument("--json", action="store_true")
    one = add("stop", "End the backend; the job in work is marked and can be retried.")
    one.add_argument("--after-job", action="store_true", help="let the running job end first")
    one = add("cancel", "Cancel a job of the queue, or all of them.")
    one.add_argument("job", metavar="JOB", help="its number (sdtui status), or “all”")
    one = add("doctor", "Look at Python, torch, the GPU, the terminal, tmux, folders and disk.")
    one.add_argument("--json", action="store_true")
    return parser


MODULES = {
    None: "start", "generate": "generate", "info": "look", "params": "look", "show": "show",
    "presets": "presets", "status": "manage", "stop": "manage", "cancel": "manage",
    "doctor": "doctor", "models": "models", "trust": "models",
}  # fmt: skip
PLAIN = str.maketrans("“”‘’…–—×·→", "\"\"''.--x.>")
"""For terminals that cannot show them."""


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code."""
    _any_locale()
    try:
        code = _run(argv)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader has left (`| head`); nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _run(argv: list[str] | None) -> int:
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit as leaving:  # --help, --version, or words that argparse cannot use
        return int(leaving.code or DONE)
    try:
        _remember_folders(arguments)
        module = importlib.import_module(f"sdtui.cli.{MODULES[arguments.command]}")
        return int(module.run(arguments))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        return _said(error, arguments.home)


def _remember_folders(arguments: argparse.Namespace) -> None:
    """Raises ConfigError, PlaceError, OSError."""
    if not arguments.a1111 and not arguments.comfy:
        return
    from pathlib import Path

    from sdtui.library.config import add_folder
    from sdtui.library.places import find_places

    places = find_places(arguments.home).prepare()
    for key in ("a1111", "comfy"):
        for folder in getattr(arguments, key):
            add_folder(places, key, Path(folder))


def _any_locale() -> None:
    """Print what the locale can show, never break off over a character that it cannot."""

    def plainly(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeEncodeError)
        text = error.object[error.start : error.end].translate(PLAIN)
        return text.encode("ascii", "replace").decode(), error.end

    codecs.register_error("sdtui.plainly", plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="sdtui.plainly")


def print_json(data: object) -> None:
    """One JSON document on stdout, readable by a program whatever the locale is."""
    unicode = (sys.stdout.encoding or "").casefold().replace("-", "") == "utf8"
    text = json.dumps(data, ensure_ascii=not unicode)
    # The control characters that json leaves as they are would still command a terminal.
    print(text.translate({code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}))


def _said(error: Exception, home: str | None) -> int:
    """One sentence for an error on the screen; its traceback in the terminal log."""
    import sqlite3

    from sdtui.library.places import PlaceError

    where = _log(home)
    if isinstance(error, UsageProblem | PlaceError):
        return say_error(str(error), USAGE)
    from sdtui.backend.errors import BackendError

    if isinstance(error, BackendError):
        return say_error(str(error), USAGE if error.error.code == "usage" else FAILED)
    more = f". More is in {where}" if where else ""
    if isinstance(error, OSError) and error.strerror:
        file = f"{error.filename}: " if error.filename else ""
        return say_error(f"{file}{error.strerror}{more}", FAILED)
    if isinstance(error, sqlite3.Error):
        return say_error(f"a database of sdtui cannot be used: {error}{more}", FAILED)
    return say_error(f"an error in the program: {type(error).__name__}: {error}{more}", FAILED)


def _log(home: str | None) -> str:
    """Append the traceback in hand to the terminal log; its path, or “” if that is not possible."""
    from sdtui.library.places import find_places

    path = find_places(home).terminal_log
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", errors="backslashreplace") as log:
            log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} sdtui {' '.join(sys.argv[1:])}\n")
            log.write(traceback.format_exc())
    except OSError:
        return ""
    return str(path)


def say_error(text: str, code: int) -> int:
    """One line on stderr; gives the exit code back."""
    print(f"sdtui: {printable(text)}", file=sys.stderr)
    return code


def printable(text: str) -> str:
    """One line without control characters: what a file says must not command the terminal."""
    return "".join(char if char.isprintable() else "·" for char in " ".join(text.split()))
