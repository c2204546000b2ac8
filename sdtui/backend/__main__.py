"""`python -m sdtui.backend --home DIR`: the backend process. Terminals start it by themselves.

The options beside --home are for tests and for unusual machines. `--runner module:Class` (or
SDTUI_RUNNER) is a test hook: it puts another `runner.Runner`, made as Class(device, places), in the
place of the real one, so that everything around it is tested without torch.

Exit codes: 0 it ended when asked or idle, 1 another backend runs or it broke, 2 the home folder
cannot be used.
"""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import logging
import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import NoReturn

from sdtui import __version__
from sdtui.library.places import Places, find_places

from .errors import HomeTaken
from .lock import BackendLock, LockHeld
from .logfile import log_to

QUIET = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    # One core stays for the terminal and for whatever else runs here: two threads that spin for
    # each other on two busy cores make a picture 30 times slower, not twice as fast.
    "OMP_NUM_THREADS": str(max(1, len(os.sched_getaffinity(0)) - 1)),
    "OMP_WAIT_POLICY": "PASSIVE",
}
"""Environment of the process that works, where the person has not set it."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sdtui.backend", description=__doc__)
    parser.add_argument("--home", type=Path, help="folder of models, pictures and the queue")
    parser.add_argument("--config", type=Path, help="folder of presets, if not the home")
    parser.add_argument("--cache", type=Path, help="folder of previews, if not in the home")
    parser.add_argument("--device", action="append", help="cpu, cuda:0 …; may be repeated")
    parser.add_argument("--idle-unload", type=float, default=600.0, metavar="SECONDS")
    parser.add_argument("--idle-end", type=float, default=3600.0, metavar="SECONDS")
    parser.add_argument("--hang", type=float, default=1800.0, metavar="SECONDS")
    parser.add_argument("--stop-grace", type=float, default=20.0, metavar="SECONDS")
    parser.add_argument("--runner", metavar="MODULE:CLASS", help="test hook: what does the jobs")
    parser.add_argument("--version", action="version", version=__version__)
    return parser


def _places(arguments: argparse.Namespace) -> Places:
    places = find_places(arguments.home)
    if arguments.config or arguments.cache:
        return Places(
            home=places.home,
            config=arguments.config or places.config,
            cache=arguments.cache or places.cache,
        )
    return places


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    places = _places(arguments)
    try:
        places.prepare()
        lock = BackendLock.take(places.lock_file)
        log_to(places.log_file)
    except LockHeld as error:
        print(f"sdtui: {HomeTaken(places.home, error.holder)}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"sdtui: {error}", file=sys.stderr)
        return 2
    # Nothing is fetched unless somebody asks, and libraries keep their remarks to themselves.
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)  # `kill -USR1` writes every thread's stack to the log
    try:
        ending = asyncio.run(_serve(places, arguments))
    except (OSError, sqlite3.Error) as error:
        logging.getLogger("sdtui.backend").exception("cannot go on")
        where = f"{places.state_db}: " if isinstance(error, sqlite3.Error) else ""
        print(f"sdtui: {where}{error}", file=sys.stderr)
        return 2
    if ending == "restart":
        lock.hand_over()
        _restart()
    lock.release()
    _leave()


async def _serve(places: Places, arguments: argparse.Namespace) -> str:
    from .core import Limits
    from .device import default_runner
    from .service import Options, Service

    options = Options(
        runner=arguments.runner or default_runner(),
        devices=tuple(arguments.device or ("auto",)),
        limits=Limits(
            idle_unload_s=arguments.idle_unload,
            idle_end_s=arguments.idle_end,
            hang_s=arguments.hang,
            stop_grace_s=arguments.stop_grace,
        ),
    )
    return await Service(places, options).run()


def _restart() -> NoReturn:
    """Become a new process with the same id and command: the only cure for a hung device."""
    logging.shutdown()
    os.execv(sys.executable, sys.orig_argv)


def _leave() -> NoReturn:
    """End without waiting for threads that hang in a driver: all that matters is on the disk."""
    logging.shutdown()
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
