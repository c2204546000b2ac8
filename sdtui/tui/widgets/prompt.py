"""The editors of the prompt and of the negative prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.widgets import TextArea
from textual.widgets.text_area import Selection, TextAreaTheme

from sdtui.tui.messages import InfotextPasted
from sdtui.tui.words import printable

PARTS = {
    "weight": "accent", "less": "secondary", "word": "accent", "lora": "success",
    "missing": "error", "tag": "secondary", "wildcard": "warning",
}  # fmt: skip
"""Part of a prompt -> colour of the theme."""


def is_settings(text: str) -> bool:
    """Whether a pasted text carries a picture's settings and not only a prompt."""
    if "Steps: " not in text:
        return False
    from sdtui.formats import infotext

    return "Steps" in infotext.parse(text).params


def with_newlines(text: str) -> str:
    """Terminals send the line breaks of what is pasted as carriage returns."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def cleaned(text: str) -> str:
    """Text as an editor may hold it: nothing that a terminal would obey."""
    return "\n".join(printable(line) for line in text.expandtabs(1).splitlines())


class PromptEditor(TextArea):
    """A text area that knows a picture's settings when they are pasted into it."""

    BINDINGS = [
        Binding("escape", "leave", "Leave", show=False),
        Binding("ctrl+up", "weigh(1)", "Weight up", show=False),
        Binding("ctrl+down", "weigh(-1)", "Weight down", show=False),
        Binding("ctrl+e", "edit_outside", "Open in $EDITOR", show=False),
    ]

    def HELP(self) -> str:
        """What F1 says."""
        if self.id == "negative_prompt":
            return "What the picture should not show. Weights and BREAK work as in the prompt."
        return (
            "What the picture should show, as tags or a sentence, the most important first. "
            "(word:1.2) weighs more, (word:0.8) less: ctrl+up and ctrl+down change that for the "
            "word under the cursor. BREAK begins a new part, <lora:name:0.8> takes a LoRA (red: "
            "there is none of that name). Paste the settings of a picture here to take them over. "
            "Esc leaves the editor."
        )

    def __init__(self, text: str, *, placeholder: str, id: str) -> None:
        self.has_lora: Callable[[str], bool] = lambda name: True
        """Whether there is a LoRA of that name."""
        super().__init__(
            cleaned(text), id=id, soft_wrap=True, tab_behavior="focus", placeholder=placeholder,
            show_line_numbers=False, highlight_cursor_line=False, compact=True,
        )  # fmt: skip

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self._take_theme())
        self._take_theme()
        self.move_cursor(self.document.end)

    def _take_theme(self) -> None:
        """The colours of the parts of a prompt, out of the app's theme."""
        colours = self.app.theme_variables
        styles = {kind: Style(color=colours[name]) for kind, name in PARTS.items()}
        styles["comment"] = Style(dim=True)
        theme = TextAreaTheme("prompt", syntax_styles=styles)
        self.register_theme(theme)
        self.theme = "css"  # so that the same name is taken up anew
        self.theme = "prompt"

    def _build_highlight_map(self) -> None:
        """Colours of weights, LoRAs and the like: our parser in place of tree-sitter's."""
        self._line_cache.clear()
        self._highlights.clear()
        text = self.text
        if not text:
            return
        from sdtui.formats.prompt_spans import spans

        for span in spans(text):
            kind: str = span.kind
            if kind == "weight" and span.weight < 1:
                kind = "less"
            elif kind == "lora" and not self.has_lora(span.name):
                kind = "missing"
            for row, start, end in _rows(text, span.start, span.end):
                self._highlights[row].append((start, end, kind))

    def recolour(self) -> None:
        """What is known of the LoRAs has changed."""
        self._build_highlight_map()
        self.refresh()

    def action_weigh(self, steps: int) -> None:
        """Another weight for the selection or for what is under the cursor."""
        from sdtui.formats.weight_edit import change_weight

        document = self.document
        ends = sorted((self.selection.start, self.selection.end))
        start, end = (document.get_index_from_location(place) for place in ends)
        edit = change_weight(self.text, start, end, steps)
        if edit is None:
            return
        self.replace(edit.text, (0, 0), document.end)
        places = [self.document.get_location_from_index(at) for at in (edit.start, edit.end)]
        self.selection = Selection(*places)

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        text = with_newlines(event.text)
        if is_settings(text):
            self.post_message(InfotextPasted(text, self.id or ""))
        else:
            await super()._on_paste(events.Paste(cleaned(text)))

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


def _rows(text: str, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """A stretch of a text as (row, first byte, last byte) of each line it touches."""
    row = text.count("\n", 0, start)
    line_start = text.rfind("\n", 0, start) + 1
    while start < end:
        line_end = text.find("\n", start)
        line_end = len(text) if line_end < 0 else line_end
        stop = min(end, line_end)
        head = len(text[line_start:start].encode())
        yield row, head, head + len(text[start:stop].encode())
        start = line_start = line_end + 1
        row += 1
