"""The help of commands in the reader's language: docstrings stay English, and are looked up when help is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cyclopts.help import DefaultFormatter, HelpEntry, HelpPanel
from cyclopts.help.inline_text import InlineText
from cyclopts.help.specs import DefaultStyled
from rich.text import Text

from hotloop.cli.choose_language import LANGUAGE_OPTION
from hotloop.language import LANGUAGES, Sentence, current, shown, translated

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions

__all__ = ["TranslatedHelp"]

_USAGE = Sentence("Usage:")
_LANGUAGE = Sentence("Language of what is shown; the system's by default.")
# Texts of cyclopts's own.
_BUILT_IN = (
    Sentence("Arguments"),
    Sentence("Commands"),
    Sentence("Parameters"),
    Sentence("Display this message and exit."),
    Sentence("Display application version."),
)


class TranslatedHelp(DefaultFormatter):  # type: ignore[misc,unused-ignore]
    """Shows help in the reader's language, and in each the option that no command ever gets to see."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Show one panel."""
        entries = [_translated(entry) for entry in panel.entries]
        if panel.format == "command" and entries:
            entries.append(HelpEntry(positive_names=(LANGUAGE_OPTION,), description=Text(shown(_LANGUAGE))))
        super().__call__(console, options, panel.copy(title=_looked_up(str(panel.title)), entries=entries))

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        """Show the line that says how a command is called."""
        if usage:
            program, _, rest = str(usage).partition(" ")
            line = f"{shown(_USAGE)} {program} [{LANGUAGE_OPTION} {'|'.join(LANGUAGES)}] {rest}"
            console.print(DefaultStyled(Text(line, style="cyclopts.usage")))

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:
        """Show what a command does."""
        super().render_description(console, options, _translated_text(description))


def _translated(entry: HelpEntry) -> HelpEntry:
    return entry.copy(description=_translated_text(entry.description))


def _translated_text(description: Any) -> Any:
    plain = getattr(description, "primary_renderable", description)
    if current() == "en" or not isinstance(plain, Text):
        return description
    return InlineText(Text(_looked_up(plain.plain), end=plain.end), force_empty_end=description.force_empty_end)


def _looked_up(text: str) -> str:
    return translated(" ".join(text.split()))
