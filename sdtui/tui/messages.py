"""What the widgets of the terminal program tell each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from textual.message import Message


@dataclass
class StateChanged(Message):
    """The backend has said something; `app.state` is up to date. One may stand for many."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, StateChanged)


@dataclass
class ValueEdited(Message):
    """A person has set one parameter."""

    name: str
    value: Any


@dataclass
class ValueReset(Message):
    """A person wants the value below his own back."""

    name: str


@dataclass
class FieldChosen(Message):
    """The form's cursor is on another field, or what is typed there is wrong."""

    name: str
    problem: str = ""


@dataclass
class FormUnfolded(Message):
    """A person wants all fields shown, or the few again."""

    unfolded: bool


@dataclass
class InfotextPasted(Message):
    """Text with a picture's settings was pasted into the prompt."""

    text: str
    into: str
    """The id of the editor, for who wants the text itself there."""


@dataclass
class PictureChosen(Message):
    """Another picture is to be looked at; None = whatever is made now."""

    path: str | None
