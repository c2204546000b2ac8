"""The backend of these tests is a real process over a real socket; only its runner is scripted."""

from tests.backend.conftest import house

__all__ = ["house"]
