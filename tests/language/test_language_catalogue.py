"""Every text that a person reads has a Chinese translation, and the catalogue says nothing else."""

from __future__ import annotations

import re
import string
import time

import pytest
from extract_messages import Message, messages_of, messages_of_page, messages_of_sources
from po_file import CATALOGUE, Entry, read_po, updated, write_po

from hotloop.language.catalogue import read_catalogue

ENTRIES = read_po(CATALOGUE)
MESSAGES = messages_of_sources()


def placeholders(text: str) -> list[tuple[str, str | None, str | None]]:
    return sorted((name, spec, conversion) for _, name, spec, conversion in string.Formatter().parse(text) if name)


def test_every_message_is_in_the_catalogue_and_nothing_else_is():
    listed = {entry.message.text for entry in ENTRIES}
    assert sorted(MESSAGES.keys() - listed) == [], "make messages, then translate"
    assert sorted(listed - MESSAGES.keys()) == [], "make messages"
    assert "#~" not in CATALOGUE.read_text(encoding="utf-8")


def test_every_translation_is_done_and_fits():
    assert [entry.message.text for entry in ENTRIES if not entry.translation] == []
    fuzzy = [entry.message.text for entry in ENTRIES if entry.is_fuzzy]
    assert fuzzy == [], "made for another text: check them, and take the marks away"
    other_placeholders = [
        entry.message.text
        for entry in ENTRIES
        if placeholders(entry.translation) != placeholders(entry.message.plural or entry.message.text)
    ]
    assert other_placeholders == []


def test_a_console_of_chinese_windows_has_every_character():
    texts = [entry.translation for entry in ENTRIES]
    assert [text for text in texts if text.encode("gbk", "ignore").decode("gbk") != text] == []


def test_the_catalogue_is_as_make_messages_writes_it(tmp_path):
    write_po(tmp_path / "again.po", updated(ENTRIES, MESSAGES))
    assert (tmp_path / "again.po").read_bytes() == CATALOGUE.read_bytes(), "make messages"


def test_chinese_sentences_have_chinese_punctuation():
    # A comma, colon or full stop right behind an ideograph must be a full-width one.
    bad = [entry.translation for entry in ENTRIES if re.search(r"[\u4e00-\u9fff][,;:?!.](?!\.)", entry.translation)]
    assert bad == []
    no_gap = re.compile(r"[\u4e00-\u9fff][A-Za-z0-9]|[A-Za-z0-9][\u4e00-\u9fff]")
    assert [entry.translation for entry in ENTRIES if no_gap.search(entry.translation)] == []


def test_reading_it_takes_a_few_milliseconds():
    times_s = []
    for _ in range(20):
        started_s = time.process_time()
        texts = read_catalogue(CATALOGUE)
        times_s.append(time.process_time() - started_s)
    assert len(texts) >= len(ENTRIES)
    assert min(times_s) < 0.02


def test_what_is_wrapped_is_found():
    source = 'print(_("one"), n_("{n} row", "{n} rows", n), Sentence("a {b}", b=1))\ncounted("x", "y", n)'
    found = [(message.text, message.plural) for message in messages_of(source, "engines/x.py")]
    assert found == [("one", None), ("{n} row", "{n} rows"), ("a {b}", None), ("x", "y")]
    page = '<p>{{ _("Loss") }}</p>{{ n_("{n} row", "{n} rows", n).format(n=n) }}{{ name }}'
    found = [(message.text, message.plural) for message in messages_of_page(page)]
    assert found == [("Loss", None), ("{n} row", "{n} rows")]


def test_help_of_commands_is_found_and_that_of_other_functions_is_not():
    docstring = "Do it.\n\n    Parameters\n    ----------\n    a\n        What to\n        do.\n    "
    source = f'def go(a):\n    """{docstring}"""\n'
    assert [message.text for message in messages_of(source, "cli/go.py", "go")] == ["Do it.", "What to do."]
    assert list(messages_of(source, "cli/go.py")) == []


def test_only_literals_can_be_wrapped():
    with pytest.raises(ValueError, match=r"cli/x\.py, line 1: only a literal"):
        list(messages_of('_(f"{n} rows")', "cli/x.py"))


@pytest.mark.parametrize(
    ("entry", "texts"),
    [
        ('msgid "a"\nmsgstr "甲"\n', {"a": "甲"}),
        ('#: x.py\n#, python-brace-format\nmsgid "a"\nmsgstr "甲"', {"a": "甲"}),
        ('msgid ""\n"long "\n"text"\nmsgstr ""\n"长"\n"文"\n', {"long text": "长文"}),
        (r'msgid "\"q\" \\ \n"' + "\n" + r'msgstr "\t引\""' + "\n", {'"q" \\ \n': '\t引"'}),
        ('msgid "{n} row"\nmsgid_plural "{n} rows"\nmsgstr[0] "{n} 行"\n', {"{n} row": "{n} 行", "{n} rows": "{n} 行"}),
        ('#, fuzzy\nmsgid "a"\nmsgstr "甲"\n', {}),
        ('#, fuzzy, python-brace-format\nmsgid "a"\nmsgstr "甲"\n', {}),
        ('msgid "a"\nmsgstr ""\n', {}),
        ('#~ msgid "a"\n#~ msgstr "甲"\n', {}),
        ('msgid ""\nmsgstr ""\n"Language: zh\\n"\n', {}),
        ("no catalogue at all", {}),
        ("", {}),
    ],
)
def test_entries_are_read_as_gettext_reads_them(tmp_path, entry, texts):
    (tmp_path / "x.po").write_text(entry, encoding="utf-8")
    assert read_catalogue(tmp_path / "x.po") == texts


def test_a_changed_text_keeps_its_translation_as_fuzzy_and_a_gone_one_goes():
    translations = {"no rows were kept": "没有留出行", "gone": "没了", "same": "同"}
    old = [Entry(Message(text), translation) for text, translation in translations.items()]
    wanted = {text: Message(text) for text in ("no rows were kept at all", "same", "utterly different")}
    new = {entry.message.text: entry for entry in updated(old, wanted)}
    assert new["no rows were kept at all"] == Entry(Message("no rows were kept at all"), "没有留出行", True)
    assert new["same"] == Entry(Message("same"), "同")
    assert new["utterly different"].translation == ""
    assert "gone" not in new
