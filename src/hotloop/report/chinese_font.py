"""A font for Chinese in pictures: those of the common systems, looked for among what matplotlib has found already."""

from __future__ import annotations

__all__ = ["chinese_font"]

# As matplotlib names them: of Linux, Windows, macOS; a collection goes by the first of its fonts.
_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "AR PL UMing CN",
    "Microsoft YaHei",
    "DengXian",
    "SimHei",
    "SimSun",
    "PingFang SC",
    "PingFang HK",
    "Hiragino Sans GB",
    "Heiti TC",
    "STHeiti",
    "Songti SC",
    "Arial Unicode MS",
)


def chinese_font() -> str | None:
    """Return the name of an installed font that has Chinese, or None; it looks through a list, at no file."""
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return next((name for name in _FONTS if name in installed), None)
