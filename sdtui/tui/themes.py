"""Two themes, dark and light: quiet grounds, one accent."""

from textual.theme import Theme

DARK = Theme(
    name="sdtui-dark",
    dark=True,
    primary="#e0a458",
    secondary="#8fb8de",
    accent="#e0a458",
    foreground="#d8d9de",
    background="#121318",
    surface="#181a20",
    panel="#22252d",
    success="#8cc98a",
    warning="#e5c07b",
    error="#e67e80",
    variables={
        "footer-background": "#181a20",
        "footer-key-foreground": "#e0a458",
        "border": "#3a3e4a",
        "border-blurred": "#2b2e37",
        "block-cursor-background": "#e0a458",
        "block-cursor-foreground": "#121318",
        "input-selection-background": "#e0a458 30%",
    },
)

LIGHT = Theme(
    name="sdtui-light",
    dark=False,
    primary="#9a5b00",
    secondary="#2c5f8a",
    accent="#9a5b00",
    foreground="#23252b",
    background="#f7f6f3",
    surface="#efede8",
    panel="#e3e0d9",
    success="#2e7d32",
    warning="#8a6100",
    error="#b3261e",
    variables={
        "footer-background": "#efede8",
        "footer-key-foreground": "#9a5b00",
        "border": "#b9b4a8",
        "border-blurred": "#d5d1c8",
        "block-cursor-background": "#9a5b00",
        "block-cursor-foreground": "#ffffff",
        "input-selection-background": "#9a5b00 25%",
    },
)

THEMES = (DARK, LIGHT)
