"""Keys take effect in the order they were pressed, however close together they arrive.

Textual hands every key to what has the focus when it arrives. Over a slow line keys come in clumps
("blue hair", Tab, "blurry", ctrl+j in one packet): a Tab still on its way through the queues of the
widgets would leave the next letters in the wrong editor, and ctrl+j would queue a prompt without
its end. So each key waits until the one before has gone the whole way, from the focused widget up
to the app by the same queues, and what the widget said of it (“changed”) has followed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from textual import events
from textual.app import App
from textual.message_pump import MessagePump

PATIENCE_S = 0.5
"""A key whose widget vanished under it holds up the others no longer than this."""
RETRY_S = 0.005


class KeysInOrder(App[None]):
    """An app that handles one key after another."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._keys: deque[events.Key | events.Paste] = deque()
        self._key_number = 0
        self._key_on_its_way = False
        self._patience: asyncio.TimerHandle | None = None

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Key | events.Paste) or event.is_forwarded:
            await super().on_event(event)
            return
        self._keys.extend(_apart(event))
        if not self._key_on_its_way:
            await self._next_key()

    async def _next_key(self) -> None:
        if not self._keys:
            return
        event = self._keys.popleft()
        self._key_on_its_way = True
        self._key_number += 1
        number = self._key_number
        target = self.focused or self.screen
        self._patience = asyncio.get_running_loop().call_later(PATIENCE_S, self._arrive, number)
        await super().on_event(event)
        # First behind the key itself, then behind the messages that it gave rise to.
        self._climb(target, lambda: self._climb(target, lambda: self._arrive(number)))

    def _climb(self, node: MessagePump | None, at_the_top: Callable[[], None]) -> None:
        """Go through the queue of `node`, then of its parent, up to this app."""
        while node is not None and node is not self:
            parent = node._parent
            if node.call_later(self._climb, parent, at_the_top):
                return
            node = parent  # it is closing: nothing goes through it
        at_the_top()

    def _arrive(self, number: int) -> None:
        """The key is through (or out of patience): go on as soon as the screen can take another."""
        if number != self._key_number or not self._key_on_its_way or not self.screen_stack:
            return  # told already, or the program has ended
        loop = asyncio.get_running_loop()
        patience = self._patience
        if patience is not None and loop.time() < patience.when() and not self._screen_ready():
            loop.call_later(RETRY_S, self._arrive, number)
            return
        if patience is not None:
            patience.cancel()
        self._key_on_its_way = False
        self.call_later(self._next_key)

    def _screen_ready(self) -> bool:
        """Whether the screen on top (a dialog just opened, say) has its widgets and its focus."""
        screen = self.screen
        focusable = screen.is_mounted and bool(screen.focus_chain)
        return screen.is_mounted and (screen.focused is not None or not focusable)


def _apart(event: events.Key | events.Paste) -> list[events.Key | events.Paste]:
    """Esc and a character that came in one packet are two keys and not “alt+character”.

    Terminals send both alike; here no key is on alt, and Esc then a letter is common.
    """
    if isinstance(event, events.Key) and event.key.startswith("alt+"):
        character = event.key.removeprefix("alt+")
        if len(character) == 1:
            return [events.Key("escape", "\x1b"), events.Key(character, character)]
    return [event]
