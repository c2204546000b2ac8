"""F7: what is made, what waits, what has ended and how."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from sdtui.backend import protocol as p
from sdtui.params.base import specs
from sdtui.params.generate import GenerateParams
from sdtui.tui import words
from sdtui.tui.widgets.values import shown

from .workspace import Workspace


class JobList(OptionList):
    """The jobs: running, waiting in order, then the ended ones, newest first."""

    HELP = (
        "The jobs: the running one, those that wait in their order, then the ended ones. "
        "Every job keeps the settings it was queued with; Enter shows its picture."
    )
    BINDINGS = [
        Binding("j", "cursor_down", show=False),
        Binding("k", "cursor_up", show=False),
        Binding("c,delete", "screen.cancel", "Cancel"),
        Binding("r", "screen.retry", "Make again"),
        Binding("K,shift+up", "screen.move(-1)", "Move", tooltip="Sooner", key_display="K J"),
        Binding("J,shift+down", "screen.move(1)", "Later", show=False),
        Binding("p", "app.pause", "Pause/go on"),
        Binding("X", "app.cancel_all", "Cancel all", show=False),
        Binding("f", "app.free_model", "Free the model", show=False),
    ]


class QueueScreen(Workspace):
    """The queue, and all about the job under the cursor."""

    TITLE_HERE = "Queue"
    CSS_PATH = "queue.tcss"
    BINDINGS = [Binding("escape", "app.go('generate')", "Back", show=False)]

    def __init__(self) -> None:
        super().__init__()
        self._order: list[int] = []
        self._lines: dict[int, str] = {}

    def compose_body(self) -> ComposeResult:
        with Horizontal(id="body"):
            yield JobList(id="jobs")
            with VerticalScroll(id="details", can_focus=False):
                yield Static(id="about", markup=False)

    def on_mount(self) -> None:
        self.query_one(JobList).focus()

    def tell(self) -> None:
        super().tell()
        state, jobs = self.sdtui.state, self.query_one(JobList)
        running = [job.job for job in state.jobs.values() if job.state == "running"]
        ended = [job.job for job in state.jobs.values() if job.state in p.ENDED]
        ended.sort(key=lambda number: state.jobs[number].ended_s or 0.0, reverse=True)
        order = [*running, *(n for n in state.waiting if n in state.jobs), *ended]
        lines = {number: line(state.jobs[number]) for number in order}
        if order != self._order:
            under = self._under()
            jobs.clear_options()
            jobs.add_options([Option(Content(lines[number]), id=str(number)) for number in order])
            if order:
                jobs.highlighted = order.index(under) if under in order else 0
        else:
            for number in order:
                if lines[number] != self._lines.get(number):
                    jobs.replace_option_prompt(str(number), Content(lines[number]))
        self._order, self._lines = order, lines
        self._describe()

    def _under(self) -> int | None:
        at = self.query_one(JobList).highlighted
        return self._order[at] if at is not None and at < len(self._order) else None

    def on_option_list_option_highlighted(self) -> None:
        self._describe()

    def _describe(self) -> None:
        number = self._under()
        job = self.sdtui.state.jobs.get(number) if number is not None else None
        text = details(job) if job else "Nothing was queued yet: ctrl+j on F2 does."
        about = self.query_one("#about", Static)
        if about.content != text:
            about.update(text)

    def on_option_list_option_selected(self) -> None:
        """Enter: look at its newest picture."""
        number = self._under()
        job = self.sdtui.state.jobs.get(number) if number is not None else None
        if job is not None and job.images:
            self.sdtui.look_at(job.images[-1])

    def action_cancel(self) -> None:
        if (number := self._under()) is not None:
            self.sdtui.send(p.Cancel(job=number))

    def action_retry(self) -> None:
        if (number := self._under()) is not None:
            self.sdtui.send(p.Retry(job=number))

    def action_move(self, by: int) -> None:
        if (number := self._under()) is not None:
            self.sdtui.send(p.Move(job=number, by=by))



def line(job: p.JobView) -> str:
    """A job in a row of the list."""
    where = ""
    if job.state == "running":
        progress = job.progress
        where = f"  {progress.step}/{progress.steps}" if progress.steps else ""
    made = f"  {len(job.images)} pictures" if len(job.images) > 1 else ""
    size = "{width}x{height}".format(**{"width": "?", "height": "?", **job.params})
    about = f"{size:>9} {job.params.get('steps', '?'):>3} steps"
    title = job.title or "(no prompt)"
    return f"{words.MARKS[job.state]} {job.job:>4} {about}{made}{where}  {title}"


def details(job: p.JobView) -> str:
    """All about a job."""
    known = specs(GenerateParams)
    rows = [f"Job {job.job}: {job.state}"]
    if job.started_s and job.ended_s:
        rows[0] += f" after {words.seconds(job.ended_s - job.started_s)}"
    if job.error is not None:
        rows += ["", str(job.error)]
    rows.append("")
    rows += [
        f"{spec.label}: {shown(spec, job.params[name])}"
        for name, spec in known.items()
        if name in job.params and job.params[name] != ""
        and (not spec.folded or job.params[name] != spec.default)
    ]  # fmt: skip
    rows += ["", *(image.path for image in job.images)]
    return "\n".join(rows)
