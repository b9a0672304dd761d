"""Which language a person reads, by what their system says."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["language_of_person", "language_of_tag"]

_PRIMARY_CHINESE = 0x04
_MACOS_SETTINGS = "Library/Preferences/.GlobalPreferences.plist"


def language_of_person(languages: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Return the language of the locale, or the first of ``languages``, which is the default.

    As gettext does: LC_ALL, LC_MESSAGES and LANG name the locale, the first of them that is set. LANGUAGE, a list by
    preference, comes before it, unless the locale is C. Where none is set, Windows and macOS are asked for the
    language of their own windows.
    """
    environment = os.environ if environment is None else environment
    named = [environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)]
    if named and named[0] in ("C", "POSIX"):
        return languages[0]
    preferred = environment.get("LANGUAGE", "").split(":")
    tags = preferred if any(preferred) else named[:1] or system_languages()
    return next(filter(None, (language_of_tag(tag, languages) for tag in tags)), languages[0])


def language_of_tag(tag: str, languages: Sequence[str]) -> str | None:
    """Return which of the languages a tag such as "zh_CN.GBK", "zh-Hans" or "en" names, or None."""
    primary = tag.replace("-", "_").split("_")[0].split(".")[0].split("@")[0]
    return next((language for language in languages if language.lower() == primary.lower()), None)


def system_languages(platform: str = sys.platform, home: Path | None = None) -> list[str]:
    """Return the languages of the system's own windows, where it has any and tells."""
    if platform == "win32":
        return _windows_languages()
    return _macos_languages(home or Path.home()) if platform == "darwin" else []


def _windows_languages() -> list[str]:
    import ctypes

    # A language identifier holds the language in its lower ten bits (Windows: MAKELANGID).
    identifier = ctypes.windll.kernel32.GetUserDefaultUILanguage()  # type: ignore[attr-defined,unused-ignore]
    return ["zh"] if identifier & 0x3FF == _PRIMARY_CHINESE else []


def _macos_languages(home: Path) -> list[str]:
    import plistlib

    try:
        settings = plistlib.loads((home / _MACOS_SETTINGS).read_bytes())
        return [tag for tag in settings["AppleLanguages"] if isinstance(tag, str)]
    except (OSError, ValueError, KeyError, TypeError, plistlib.InvalidFileException):
        return []
