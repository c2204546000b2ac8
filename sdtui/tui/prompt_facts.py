"""What the prompt editor needs to know of the files: which LoRAs there are, how words are cut.

Read in a thread: reading the headers of many files, or CLIP's vocabulary, takes a moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sdtui.library.model_files import ModelFile

    from .app import SdtuiApp

LOOK_EVERY_S = 10.0


class PromptFacts:
    """Facts as of the last look; `ready` is called in the app's thread after each."""

    def __init__(self, app: SdtuiApp, ready: Callable[[], None]) -> None:
        self._app, self._ready = app, ready
        self._loras: list[ModelFile] | None = None
        self._known: dict[str, bool] = {}
        self._tokenizer: Any = None
        self._checkpoint = ""
        self._looked_s = -LOOK_EVERY_S
        self._looking = False

    def look(self, checkpoint: str) -> None:
        """Look at the files again if that is due; returns at once."""
        due = time.monotonic() - self._looked_s > LOOK_EVERY_S or checkpoint != self._checkpoint
        if due and not self._looking:
            self._looking = True
            self._app.run_worker(lambda: self._look(checkpoint), thread=True, group="facts")

    def _look(self, checkpoint: str) -> None:
        from sdtui.formats.token_counter import tokenizer_for
        from sdtui.library import catalog
        from sdtui.library.model_files import CatalogError, models

        places, tokenizer = self._app.places, self._tokenizer
        try:
            if checkpoint != self._checkpoint or tokenizer is None:
                tokenizer = tokenizer_for(catalog.find(places, checkpoint).path)
            found = models(places, "lora")
        except (CatalogError, OSError, ValueError, LookupError):
            tokenizer, found = None, []
        self._app.call_from_thread(self._take, checkpoint, tokenizer, found)

    def _take(self, checkpoint: str, tokenizer: Any, found: list[ModelFile]) -> None:
        self._looking, self._looked_s = False, time.monotonic()
        self._checkpoint, self._tokenizer, self._loras = checkpoint, tokenizer, found
        self._known.clear()
        self._ready()

    def has_lora(self, name: str) -> bool:
        """Whether a prompt may name this LoRA; True as long as nobody has looked."""
        if self._loras is None:
            return True
        if name not in self._known:
            from sdtui.library import loras

            self._known[name] = loras.find(self._app.places, self._loras, name) is not None
        return self._known[name]

    def tokens(self, prompt: str) -> str:
        """“12/75”; “” as long as the vocabulary is not read."""
        if self._tokenizer is None:
            return ""
        from sdtui.formats.token_counter import count

        return str(count(prompt, self._tokenizer))
