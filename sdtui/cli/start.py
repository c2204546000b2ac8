"""`sdtui`: the full-screen program."""

from __future__ import annotations

import argparse
import os
import sys

from sdtui.library.places import find_places

from . import DONE, UsageProblem


def run(arguments: argparse.Namespace) -> int:
    """Look at the terminal before anything draws on it, then run the program."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageProblem(
            "the full-screen program needs a terminal; `sdtui generate` works without one"
        )
    if os.environ.get("TERM", "") in ("", "dumb"):
        raise UsageProblem(
            f"this terminal (TERM={os.environ.get('TERM', '')}) cannot show full-screen programs; "
            "set TERM to what it is, e.g. TERM=xterm-256color, or use `sdtui generate`"
        )
    from sdtui.tui.pictures.abilities import find_abilities

    places = find_places(arguments.home).prepare()
    abilities = find_abilities()
    if not abilities.utf8:
        raise UsageProblem(
            "the locale is not UTF-8, so frames and pictures cannot be drawn; "
            "start it as: LC_ALL=C.UTF-8 sdtui"
        )
    abilities.apply_environment()
    # Over SSH an animated page is ten pages.
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    from sdtui.tui.app import SdtuiApp

    app = SdtuiApp(places, abilities, arguments.pictures)
    app.run()
    if app.failure is not None:
        raise app.failure
    return app.return_code or DONE
