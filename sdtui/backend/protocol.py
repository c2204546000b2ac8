"""What crosses the socket: commands (imperative) and events (past tense), one JSON object a line.

    client -> backend  {"id": 7, "command": {"type": "Enqueue", ...}}
    backend -> client  {"id": 7, "reply": {"type": "Queued", ...}}      exactly one for a command
    backend -> client  {"event": {"type": "StepDone", "seq": 41, ...}}  after Subscribe

The file is the truth: whatever an event announces is in files before it is sent. Pictures cross as
paths. A client that attaches late gets a `Snapshot`, reads the files, then follows; it drops events
whose `seq` is not above the snapshot's. No torch and no Textual here.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

PROTOCOL_VERSION = 1
MAX_LINE_BYTES = 1 << 20
"""A longer command is refused: long data goes by path."""
MAX_BACKEND_LINE_BYTES = 1 << 26
"""A snapshot carries every waiting job, and the backend is trusted: it runs as the same user."""

JobState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
ENDED: frozenset[str] = frozenset({"done", "failed", "cancelled", "interrupted"})


class ProtocolError(ValueError):
    """A line that is not a message of this version."""


class Message(BaseModel):
    """Base of all that crosses the socket."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


# ---------------------------------------------------------------- shared parts


class ErrorInfo(Message):
    """An error for a person: what happened, why, and what helps."""

    what: str
    why: str = ""
    hint: str = ""
    code: Literal["failed", "usage"] = "failed"

    def __str__(self) -> str:
        return ". ".join(part.rstrip(".") for part in (self.what, self.why, self.hint) if part)


class Progress(Message):
    """Where a running job is. Steps count model steps of the batch in work, from 1."""

    phase: Literal["waiting", "loading", "text", "sampling", "decoding", "saving"] = "waiting"
    detail: str = ""
    step: int = 0
    steps: int = 0
    image: int = 0
    """Pictures finished."""
    images: int = 0
    steps_per_s: float = 0.0
    eta_s: float | None = None


class SavedImage(Message):
    """One picture on disk."""

    path: str
    seed: int
    width: int
    height: int
    infotext: str


class JobView(Message):
    """A job as every client sees it."""

    job: int
    kind: Literal["generate"] = "generate"
    state: JobState = "queued"
    title: str = ""
    params: dict[str, Any] = Field(default_factory=dict)
    created_s: float = 0.0
    started_s: float | None = None
    ended_s: float | None = None
    error: ErrorInfo | None = None
    images: tuple[SavedImage, ...] = ()
    progress: Progress = Progress()
    preview: str | None = None


class ModelView(Message):
    """The model in memory."""

    name: str
    path: str
    family: str
    device: str
    dtype: str


class MonitorReading(Message):
    """What the machine is doing. None = this machine has no such counter."""

    device: str
    vram_used_bytes: int | None = None
    vram_total_bytes: int | None = None
    utilisation_percent: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    ram_used_bytes: int = 0
    ram_total_bytes: int = 0
    backend_rss_bytes: int = 0
    cpu_percent: float = 0.0


# ---------------------------------------------------------------- commands


class Command(Message):
    """Something a client asks for."""


class Hello(Command):
    """First line of every client. Answered by `Welcome`, or `Refused` on another protocol."""

    type: Literal["Hello"] = "Hello"
    protocol: int = PROTOCOL_VERSION
    client: str = "sdtui"


class Subscribe(Command):
    """Answered by `Snapshot`; events follow on this connection."""

    type: Literal["Subscribe"] = "Subscribe"


class Enqueue(Command):
    """Put a job at the end of the queue. Answered by `Queued` or `Refused`."""

    type: Literal["Enqueue"] = "Enqueue"
    kind: Literal["generate"] = "generate"
    params: dict[str, Any]


class Cancel(Command):
    """End a job: a running one within a step (finished pictures stay), a waiting one at once."""

    type: Literal["Cancel"] = "Cancel"
    job: int


class CancelAll(Command):
    """Cancel the running job and every waiting one."""

    type: Literal["CancelAll"] = "CancelAll"


class Retry(Command):
    """Queue an ended job's settings again. Answered by `Queued`."""

    type: Literal["Retry"] = "Retry"
    job: int


class Move(Command):
    """Move a waiting job by `by` places (negative: sooner)."""

    type: Literal["Move"] = "Move"
    job: int
    by: int


class Pause(Command):
    """Start no further job; the running one ends."""

    type: Literal["Pause"] = "Pause"


class Resume(Command):
    """Go on with the queue."""

    type: Literal["Resume"] = "Resume"


class FreeModel(Command):
    """Give the model's memory back at once (after the running job)."""

    type: Literal["FreeModel"] = "FreeModel"


class GetStatus(Command):
    """Answered by `Snapshot`, without subscribing."""

    type: Literal["GetStatus"] = "GetStatus"


class Stop(Command):
    """End the backend: `now` breaks off the running job (marked interrupted, can be retried)."""

    type: Literal["Stop"] = "Stop"
    when: Literal["now", "after_job"] = "now"


AnyCommand = Annotated[
    Hello | Subscribe | Enqueue | Cancel | CancelAll | Retry | Move | Pause | Resume | FreeModel
    | GetStatus | Stop,
    Field(discriminator="type"),
]  # fmt: skip

# ---------------------------------------------------------------- replies


class Reply(Message):
    """The one answer to a command."""


class Welcome(Reply):
    type: Literal["Welcome"] = "Welcome"
    protocol: int
    version: str
    pid: int
    home: str
    log: str


class Done(Reply):
    type: Literal["Done"] = "Done"


class Queued(Reply):
    type: Literal["Queued"] = "Queued"
    job: int


class Refused(Reply):
    type: Literal["Refused"] = "Refused"
    error: ErrorInfo


class Snapshot(Reply):
    """All that a client needs to draw itself; events with `seq` above this one follow."""

    type: Literal["Snapshot"] = "Snapshot"
    seq: int
    pid: int
    version: str
    started_s: float
    devices: tuple[str, ...]
    paused: bool
    model: ModelView | None = None
    jobs: tuple[JobView, ...]
    """Running first, then waiting in order, then the latest 50 ended, newest first. A job's
    `images` are its latest 64 at most; the gallery knows the others."""
    monitor: MonitorReading | None = None
    idle_unload_s: float = 600.0
    idle_end_s: float = 3600.0


AnyReply = Annotated[
    Welcome | Done | Queued | Refused | Snapshot, Field(discriminator="type")
]

# ---------------------------------------------------------------- events


class Event(Message):
    """Something that has happened. `seq` rises by one with each event of one backend process."""

    latest_wins: ClassVar[bool] = False
    """A reader may be given only the newest of these for each job; others are never dropped."""
    seq: int = 0
    time_s: float = 0.0


class JobQueued(Event):
    type: Literal["JobQueued"] = "JobQueued"
    job: JobView


class QueueChanged(Event):
    """Order, pause or the set of waiting jobs changed."""

    type: Literal["QueueChanged"] = "QueueChanged"
    waiting: tuple[int, ...]
    paused: bool


class JobStarted(Event):
    type: Literal["JobStarted"] = "JobStarted"
    job: int


class StepDone(Event):
    latest_wins: ClassVar[bool] = True
    type: Literal["StepDone"] = "StepDone"
    job: int
    progress: Progress


class PreviewReady(Event):
    """A small picture of the unfinished work lies at `path` (replaced by the next one)."""

    latest_wins: ClassVar[bool] = True
    type: Literal["PreviewReady"] = "PreviewReady"
    job: int
    path: str
    step: int
    width: int
    height: int


class ImageSaved(Event):
    type: Literal["ImageSaved"] = "ImageSaved"
    job: int
    image: SavedImage


class JobFinished(Event):
    type: Literal["JobFinished"] = "JobFinished"
    job: int
    seconds: float


class JobFailed(Event):
    type: Literal["JobFailed"] = "JobFailed"
    job: int
    error: ErrorInfo
    state: Literal["failed", "interrupted"] = "failed"
    """`interrupted`: the backend was stopped meanwhile; nothing is wrong with the job itself."""


class JobCancelled(Event):
    type: Literal["JobCancelled"] = "JobCancelled"
    job: int


class ModelChanged(Event):
    """A model was loaded, or (None) freed."""

    type: Literal["ModelChanged"] = "ModelChanged"
    model: ModelView | None = None


class MonitorRead(Event):
    latest_wins: ClassVar[bool] = True
    type: Literal["MonitorRead"] = "MonitorRead"
    reading: MonitorReading


class Notice(Event):
    """A remark for people: an upcast VAE, a skipped file, a restart."""

    type: Literal["Notice"] = "Notice"
    text: str
    level: Literal["info", "warning", "error"] = "info"


class BackendStopping(Event):
    """The last event of a backend that ends on purpose."""

    type: Literal["BackendStopping"] = "BackendStopping"
    why: str


AnyEvent = Annotated[
    JobQueued | QueueChanged | JobStarted | StepDone | PreviewReady | ImageSaved | JobFinished
    | JobFailed | JobCancelled | ModelChanged | MonitorRead | Notice | BackendStopping,
    Field(discriminator="type"),
]  # fmt: skip

# ---------------------------------------------------------------- lines

M = TypeVar("M", bound=Message)


class CommandLine(Message):
    """Client to backend."""

    id: int
    command: AnyCommand


class BackendLine(Message):
    """Backend to client: a reply (with the command's id) or an event."""

    id: int | None = None
    reply: AnyReply | None = None
    event: AnyEvent | None = None


def encode(line: CommandLine | BackendLine) -> bytes:
    """One message as one line of JSON."""
    return line.model_dump_json(exclude_none=True).encode() + b"\n"


def decode_command(raw: bytes) -> CommandLine:
    """Raises ProtocolError for anything that is not a command of this version."""
    return _decode(raw, CommandLine, MAX_LINE_BYTES)


def decode_backend(raw: bytes) -> BackendLine:
    """Raises ProtocolError for anything that is not a reply or an event of this version."""
    return _decode(raw, BackendLine, MAX_BACKEND_LINE_BYTES)


def _decode(raw: bytes, model: type[M], limit: int) -> M:
    if len(raw) > limit:
        raise ProtocolError(f"a line of {len(raw)} bytes is too long")
    try:
        return model.model_validate_json(raw)
    except (ValidationError, RecursionError) as error:
        what = f"not a message of protocol {PROTOCOL_VERSION}"
        raise ProtocolError(f"{what}: {_short(error)}") from None


def _short(error: Exception) -> str:
    """The first complaint in one line: what a stranger sends is not repeated at length."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}".removeprefix(": ")
