"""The fixed words of the field: sampler and schedule labels as AUTOMATIC1111 1.10 writes them.

They are what users type, what presets store and what infotext carries, so they are data here,
in the package everybody may import. `diffusion.samplers` and `diffusion.schedules` must offer
exactly these (a test compares).
"""

from typing import Literal, get_args

Sampler = Literal[
    "DPM++ 2M",
    "DPM++ SDE",
    "DPM++ 2M SDE",
    "DPM++ 2M SDE Heun",
    "DPM++ 2S a",
    "DPM++ 3M SDE",
    "Euler a",
    "Euler",
    "LMS",
    "Heun",
    "DPM2",
    "DPM2 a",
    "DPM fast",
    "DPM adaptive",
    "Restart",
    "DDIM",
    "DDIM CFG++",
    "PLMS",
    "UniPC",
    "LCM",
]

Schedule = Literal[
    "Automatic",
    "Uniform",
    "Karras",
    "Exponential",
    "Polyexponential",
    "SGM Uniform",
    "KL Optimal",
    "Align Your Steps",
    "Simple",
    "Normal",
    "DDIM",
    "Beta",
]

RandomSource = Literal["NV", "CPU", "GPU"]

Emphasis = Literal["Original", "No norm", "Ignore", "None"]

PromptList = Literal["One prompt", "One a line", "Every choice", "Matrix", "Easy Diffusion"]

PromptRules = Literal["Current", "A1111", "A1111 before 1.6"]

SAMPLERS: tuple[str, ...] = get_args(Sampler)
SCHEDULES: tuple[str, ...] = get_args(Schedule)
RANDOM_SOURCES: tuple[str, ...] = get_args(RandomSource)
