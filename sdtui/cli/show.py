"""`sdtui show IMAGE`: print a picture in the terminal, as large as the window allows.

term-image chooses what the terminal does best (kitty, iTerm2, half blocks). In a pipe there are
half blocks for a window of 80 columns, e.g. for `less -R`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdtui.tui.pictures import files
from sdtui.tui.pictures.abilities import Abilities, find_abilities, speaks_utf8

from . import DONE, FAILED, UsageProblem, say_error

if TYPE_CHECKING:
    from PIL.Image import Image

ANSWER_S = 1.0
"""How long the terminal may take to say what it can do; term-image's 0.1 s is too short for SSH."""
LIMIT_PX = (4096, 4096)
PIPE_CELLS = (80, 48)


def run(arguments: argparse.Namespace) -> int:
    """Print the picture `arguments.image`, drawn as `arguments.pictures` says; the exit code."""
    path = str(Path(arguments.image).expanduser())
    if not Path(path).exists():
        raise UsageProblem(f"there is no file {path}")
    try:
        _, image = files.load(path, LIMIT_PX)
    except files.PictureError as error:
        return say_error(str(error), FAILED)
    width, height = image.size
    if arguments.pictures == "off":
        print(f"{path}, {width}x{height}")
        return DONE
    if not speaks_utf8():
        return say_error(
            "pictures need a UTF-8 terminal: set LANG to a UTF-8 locale, e.g. C.UTF-8", FAILED
        )
    if sys.stdout.isatty() and os.environ.get("TERM", "dumb") == "dumb":
        return say_error(
            "a terminal with TERM=dumb shows no pictures: set TERM, e.g. to xterm-256color", FAILED
        )
    _print(image, arguments.pictures)
    return DONE


def _print(image: Image, choice: str) -> None:
    if sys.stdout.isatty():
        window, terminal = shutil.get_terminal_size(), find_abilities()
        style = _style(choice, terminal)
    else:
        window, terminal = os.terminal_size(PIPE_CELLS), Abilities(truecolor=True)
        style = _style("blocks", terminal)
    # Two lines stay for the prompt.
    box = (window.columns, max(1, window.lines - 2))
    columns, rows = files.fit(image.size, box, terminal.cell_px)
    # term-image scales too, but with a poor filter.
    pixels, form = (columns * terminal.cell_px[0], rows * terminal.cell_px[1]), ""
    if style.__name__ == "BlockImage":
        pixels = (columns, 2 * rows)
        # Where true colour is not proved the 256 colours of every terminal are taken.
        form = "" if terminal.truecolor else "+I"
    picture = style(files.reduce(image, pixels))
    picture.set_size(columns, rows)
    print(format(picture, f"<{columns}.^{rows}#{form}"), flush=True)


def _style(choice: str, terminal: Abilities) -> Any:
    """The term-image class for `--pictures choice`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # “no terminal”, in a pipe
        import term_image
        from term_image.image import BlockImage, KittyImage, auto_image_class
    term_image.set_query_timeout(ANSWER_S)
    # tmux and screen would show a graphics sequence as the window's title; an answer that comes
    # after the program has ended would be typed into the shell.
    layered = terminal.tmux or bool(os.environ.get("STY"))
    if choice == "blocks" or layered or not terminal.answered:
        term_image.disable_queries()
        return BlockImage
    if choice == "kitty":
        # Its class refuses to work where it has not asked the terminal; the user has answered.
        KittyImage.forced_support = True
        return KittyImage
    return auto_image_class()
