"""Folders, disk, models, presets and the backend of this home."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator

from sdtui.library import catalog
from sdtui.library import presets as preset_files
from sdtui.library.places import PlaceError, Places

from . import Row

GIB = 1 << 30
LITTLE_BYTES, TOO_LITTLE_BYTES = 10 * GIB, GIB
ANSWER_S = 3.0
SHOWN = 8


def folders(places: Places) -> Iterator[Row]:
    try:
        places.prepare()
        places.prepare_socket_folder()
    except PlaceError as error:
        yield Row("folders", "problem", str(error))
        return
    yield Row("home", "ok", str(places.home))
    for name, folder in (("models", places.models), ("pictures", places.outputs)):
        yield Row(name, "ok", str(folder))
    yield Row("own presets", "ok", str(places.presets / "generate"))


def disk(places: Places) -> Iterator[Row]:
    folder = next(up for up in (places.outputs, *places.outputs.parents) if up.exists())
    free = shutil.disk_usage(folder).free
    text = f"{free / GIB:.1f} GiB free for pictures"
    if free >= LITTLE_BYTES:
        yield Row("disk", "ok", text)
        return
    level = "problem" if free < TOO_LITTLE_BYTES else "warning"
    yield Row("disk", level, text, (f"Make room on the disk of {folder}, or move with --home DIR",))


def models(places: Places) -> Iterator[Row]:
    found = catalog.checkpoints(places)
    good = [one for one in found if not one.problem]
    names = ", ".join(f"{one.name} ({one.family})" for one in good[:SHOWN])
    more = f" and {len(good) - SHOWN} more" if len(good) > SHOWN else ""
    yield Row("checkpoints", "ok", f"{names}{more}")
    for one in found:
        if one.problem:
            yield Row("checkpoint", "warning", f"{one.path}: {one.problem}")


def presets(places: Places) -> Iterator[Row]:
    found, broken = preset_files.load_all(places)
    own = sum(not preset.shipped for preset in found)
    yield Row("presets", "ok", f"{len(found)}, {own} of them your own")
    for text in broken:
        yield Row("preset", "warning", text)


def backend(places: Places) -> Iterator[Row]:
    from sdtui.backend.client import Client
    from sdtui.backend.errors import BackendError
    from sdtui.backend.starter import running_backend

    pid = running_backend(places)
    if pid is None:
        yield Row("backend", "ok", "none runs; it starts with the first picture")
        return

    async def greet() -> str:
        client = await Client.connect(places, start=False, timeout_s=ANSWER_S)
        await client.close()
        return client.welcome.version

    try:
        version = asyncio.run(greet())
    except BackendError as error:
        yield Row("backend", "problem", str(error), (f"Its log is {places.log_file}",))
        return
    yield Row("backend", "ok", f"process {pid}, sdtui {version}")
