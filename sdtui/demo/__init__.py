"""The bundled model: tiny, but a real Stable Diffusion. Light to import: paths only."""

from pathlib import Path

_HERE = Path(__file__).resolve().parent


def model_dir() -> Path:
    """The diffusers folder of the demo model."""
    return _HERE / "model"


def maid_dir() -> Path:
    """The example data set for training: about twenty pictures with captions."""
    return _HERE / "maid"
