"""The editors of the prompt and of the negative prompt."""

from __future__ import annotations

from textual import events
from textual.binding import Binding
from textual.widgets import TextArea

from sdtui.tui.messages import InfotextPasted
from sdtui.tui.words import printable


def is_settings(text: str) -> bool:
    """Whether a pasted text carries a picture's settings and not only a prompt."""
    if "Steps: " not in text:
        return False
    from sdtui.formats import infotext

    return "Steps" in infotext.parse(text).params


def cleaned(text: str) -> str:
    """Text as an editor may hold it: nothing that a terminal would obey."""
    return "\n".join(printable(line) for line in text.expandtabs(1).splitlines())


class PromptEditor(TextArea):
    """A text area that knows a picture's settings when they are pasted into it."""

    BINDINGS = [
        Binding("escape", "leave", "Leave", show=False),
        Binding("ctrl+e", "edit_outside", "Open in $EDITOR", show=False),
    ]

    def HELP(self) -> str:
        """What F1 says."""
        if self.id == "negative_prompt":
            return "What the picture should not show. Weights and BREAK work as in the prompt."
        return (
            "What the picture should show, as tags or a sentence, the most important first. "
            "(word:1.2) weighs more, (word:0.8) less, BREAK begins a new part. Paste the settings "
            "of a picture here to take them over. Esc leaves the editor."
        )

    def __init__(self, text: str, *, placeholder: str, id: str) -> None:
        super().__init__(
            cleaned(text), id=id, soft_wrap=True, tab_behavior="focus", placeholder=placeholder,
            show_line_numbers=False, highlight_cursor_line=False, compact=True,
        )  # fmt: skip

    async def _on_paste(self, event: events.Paste) -> None:
        if is_settings(event.text):
            event.prevent_default()
            event.stop()
            self.post_message(InfotextPasted(event.text, self.id or ""))
        else:
            await super()._on_paste(events.Paste(cleaned(event.text)))
            event.prevent_default()
            event.stop()

    def action_paste(self) -> None:
        if is_settings(self.app.clipboard):
            self.post_message(InfotextPasted(self.app.clipboard, self.id or ""))
        else:
            super().action_paste()

    def put(self, text: str) -> None:
        """Replace the whole text, as one step that ctrl+z takes back."""
        text = cleaned(text)
        if text != self.text:
            self.replace(text, (0, 0), self.document.end)
            self.move_cursor(self.document.end)

    def action_leave(self) -> None:
        self.screen.focus_next("#canvas")

    def action_edit_outside(self) -> None:
        """The prompt in $EDITOR."""
        from sdtui.tui.editor import edit_text

        self.put(edit_text(self.app, self.text))
