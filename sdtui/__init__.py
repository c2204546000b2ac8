"""sdtui: Stable Diffusion on one's own GPU box, from the terminal."""

__version__ = "0.1.0"
