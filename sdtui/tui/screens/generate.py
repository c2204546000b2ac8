"""F2: prompt and parameters on the left, the picture on the right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.events import DescendantBlur, DescendantFocus, Paste
from textual.widget import Widget
from textual.widgets import Input, TextArea

from sdtui.params.layers import Settings
from sdtui.tui.messages import (
    FieldChosen,
    FormUnfolded,
    InfotextPasted,
    PictureChosen,
    ValueEdited,
    ValueReset,
)
from sdtui.tui.pictures.picture import Picture
from sdtui.tui.prompt_facts import PromptFacts
from sdtui.tui.widgets.canvas import Caption
from sdtui.tui.widgets.field_help import FieldHelp
from sdtui.tui.widgets.filmstrip import Filmstrip
from sdtui.tui.widgets.form import ParamForm
from sdtui.tui.widgets.prompt import PromptEditor
from sdtui.tui.widgets.status import JobRow, QueueRow
from sdtui.tui.widgets.title import Title

from .workspace import Workspace

START = "Write a prompt, then ctrl+j makes the picture."
EXAMPLE = "What the picture should show, e.g. 1girl, long hair, blue hair, smile"


class GenerateScreen(Workspace):
    """Write a prompt, see the picture."""

    TITLE_HERE = "Generate"
    CSS_PATH = "generate.tcss"

    def __init__(self) -> None:
        super().__init__()
        self._in_view: tuple[str | None, int] = (None, 0)

    def compose_body(self) -> ComposeResult:
        settings = self.sdtui.settings
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield Title("Prompt", of="prompt")
                yield PromptEditor(settings.value("prompt"), placeholder=EXAMPLE, id="prompt")
                yield Title("Negative prompt", of="negative_prompt")
                yield PromptEditor(
                    settings.value("negative_prompt"), placeholder="What it should not show",
                    id="negative_prompt",
                )  # fmt: skip
                yield Title("Parameters", of="rows")
                yield ParamForm(
                    settings, self.sdtui.choices, unfolded=self.sdtui.session.unfolded, id="form"
                )
                yield Title("", of="help")
                yield FieldHelp(id="help")
            with Vertical(id="right"):
                yield Picture(id="picture", empty=START)
                yield Caption(id="canvas")
                yield JobRow(id="job")
                yield QueueRow(id="queue")
            yield Filmstrip(id="strip")

    def on_mount(self) -> None:
        self.query_one("#prompt").focus()
        self.facts = PromptFacts(self.sdtui, self._facts_known)
        for editor in self.query(PromptEditor):
            editor.has_lora = self.facts.has_lora
        self.look_at_files()

    # ------------------------------------------------------------ the prompt

    def look_at_files(self) -> None:
        """Look again which LoRAs there are and how the checkpoint cuts words, if that is due."""
        self.facts.look(str(self.sdtui.settings.value("checkpoint")))

    def _facts_known(self) -> None:
        for editor in self.query(PromptEditor):
            editor.recolour()
            self._count_tokens(editor)

    def _count_tokens(self, editor: PromptEditor) -> None:
        name = "Prompt" if editor.id == "prompt" else "Negative prompt"
        tokens = self.facts.tokens(editor.text) if editor.text else ""
        self.query_one(f"#title-{editor.id}", Title).say(f"{name}  {tokens}".strip())

    # ------------------------------------------------------------ the picture

    def tell(self) -> None:
        super().tell()
        state = self.sdtui.state
        self.query_one(JobRow).tell(state)
        self.query_one(QueueRow).tell(state)
        self._say_what_is_out_of_view()
        self._show_picture()

    def _say_what_is_out_of_view(self) -> None:
        rows = self.query_one(ParamForm).rows
        hidden = len(rows.fields) - rows.size.height
        more = f"  ▾ {hidden} more" if hidden > 0 else ""
        self.query_one("#title-rows", Title).say("Parameters" + more)

    def _show_picture(self) -> None:
        state, caption = self.sdtui.state, self.caption
        running = state.running
        path = caption.chosen
        if path is None and running is not None and running.preview:
            self._look(running.preview, running.progress.step)
            caption.tell(state, f"unfinished: {running.title}")
        else:
            path = path or (state.pictures[0] if state.pictures else None)
            self.query_one("#picture", Picture).say_when_empty("" if running or path else START)
            self._look(path, 0)
            caption.tell(state, described(path, state.about))
        self.query_one(Filmstrip).tell(state.pictures, path)

    def _look(self, path: str | None, step: int) -> None:
        """Show a file; a preview is the same file with another content at each step."""
        if (path, step) != self._in_view:
            self._in_view = path, step
            self.query_one("#picture", Picture).show(path)

    def on_picture_chosen(self, event: PictureChosen) -> None:
        event.stop()
        self.caption.choose(event.path)
        self._show_picture()

    @property
    def picture_in_view(self) -> str | None:
        """The finished picture that is looked at: the chosen one, else the newest."""
        pictures = self.sdtui.state.pictures
        return self.caption.chosen or (pictures[0] if pictures else None)

    @property
    def caption(self) -> Caption:
        return self.query_one(Caption)

    # ------------------------------------------------------------ the settings

    def insert(self, editor: str, text: str) -> None:
        """Put text where the cursor of an editor is."""
        self.query_one(f"#{editor}", PromptEditor).insert(text)

    def show_settings(self, settings: Settings[Any]) -> None:
        """Show these settings in editors and form."""
        for name in ("prompt", "negative_prompt"):
            self.query_one(f"#{name}", PromptEditor).put(str(settings.value(name)))
        form = self.query_one(ParamForm)
        form.show(settings)
        if form.rows.has_focus:
            self._explain(form.rows.field.name)

    def _explain(self, name: str, problem: str = "") -> None:
        self.query_one(FieldHelp).tell(self.sdtui.settings, name, problem)

    def show_problem(self, name: str, problem: str) -> None:
        """Go to a field and say what is wrong with it."""
        if name in ("prompt", "negative_prompt"):
            self.query_one(f"#{name}").focus()
            self._explain(name, problem)
        else:
            self.query_one(ParamForm).go_to(name, problem)

    def _light(self, widget: Widget, lit: bool) -> None:
        for title in self.query(f"#title-{widget.id}").results(Title):
            title.light(lit)

    def on_descendant_blur(self, event: DescendantBlur) -> None:
        self._light(event.widget, False)

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        self._light(event.widget, True)
        if isinstance(event.widget, PromptEditor):
            self._explain(event.widget.id or "")

    def on_infotext_pasted(self, event: InfotextPasted) -> None:
        event.stop()
        from sdtui.tui import importing

        importing.offer(self.sdtui, event.text, pasted_into=event.into)

    def on_paste(self, event: Paste) -> None:
        """What is pasted outside the editors goes into the prompt."""
        if not isinstance(self.focused, PromptEditor | Input):
            event.stop()
            editor = self.query_one("#prompt", PromptEditor)
            editor.focus()
            editor.post_message(Paste(event.text))

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        name = event.text_area.id or ""
        self.look_at_files()
        self._count_tokens(self.query_one(f"#{name}", PromptEditor))
        if event.text_area.text != self.sdtui.settings.value(name):
            self.sdtui.change(self.sdtui.settings.edit(**{name: event.text_area.text}))

    def on_field_chosen(self, event: FieldChosen) -> None:
        event.stop()
        self._explain(event.name, event.problem)

    def on_form_unfolded(self, event: FormUnfolded) -> None:
        event.stop()
        self.sdtui.session.unfolded = event.unfolded
        self._say_what_is_out_of_view()

    def on_value_edited(self, event: ValueEdited) -> None:
        event.stop()
        self.sdtui.edit(event.name, event.value)

    def on_value_reset(self, event: ValueReset) -> None:
        event.stop()
        self.sdtui.change(self.sdtui.settings.without_edit(event.name))
        self.show_settings(self.sdtui.settings)


def described(path: str | None, about: dict[str, str]) -> str:
    """A picture's folder, name, size and seed."""
    if path is None:
        return ""
    where = Path(path)
    return "  ".join(filter(None, (f"{where.parent.name}/{where.name}", about.get(path, ""))))
