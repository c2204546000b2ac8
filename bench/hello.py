"""The yardstick: a Textual program with one text area and nothing else."""

from textual.app import App, ComposeResult
from textual.widgets import Footer, Static, TextArea


class Hello(App[None]):
    def compose(self) -> ComposeResult:
        yield Static("Hello yardstick")
        yield TextArea()
        yield Footer()


if __name__ == "__main__":
    Hello().run()
