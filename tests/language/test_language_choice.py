"""Which language is shown: --lang, else the system's, else English."""

from __future__ import annotations

import plistlib
import threading

import pytest

from hotloop.errors import ArgumentError
from hotloop.language import LANGUAGES, _, current, n_, use
from hotloop.language.choose_language import language_of_person, language_of_tag, system_languages


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.GBK"}, "zh"),
        ({"LANG": "zh_TW.UTF-8"}, "zh"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_GB.UTF-8"}, "en"),
        ({"LC_ALL": "en_US.UTF-8", "LC_MESSAGES": "zh_CN", "LANG": "zh_CN"}, "en"),
        ({"LC_ALL": "", "LANG": "zh_CN"}, "zh"),
        ({"LANGUAGE": "zh", "LANG": "en_US.UTF-8"}, "zh"),
        ({"LANGUAGE": "fr:zh:en", "LANG": "en_US.UTF-8"}, "zh"),
        ({"LANGUAGE": "fr", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LANGUAGE": "zh"}, "zh"),
        ({"LANGUAGE": "zh", "LC_ALL": "C"}, "en"),
        ({"LANGUAGE": "zh", "LANG": "POSIX"}, "en"),
        ({"LANGUAGE": ":::", "LANG": "zh_CN"}, "zh"),
        ({"LANG": "\udcff\x00zh"}, "en"),
    ],
)
def test_the_environment_decides_as_for_gettext(environment, language):
    assert language_of_person(LANGUAGES, environment) == language


@pytest.mark.parametrize(
    ("tag", "language"),
    [("zh-Hans-CN", "zh"), ("ZH", "zh"), ("en_GB@euro", "en"), ("zho", None), ("", None), ("-", None), ("C", None)],
)
def test_tags_name_a_language(tag, language):
    assert language_of_tag(tag, LANGUAGES) == language


def test_macos_tells_the_language_of_its_windows(tmp_path):
    settings = tmp_path / "Library/Preferences/.GlobalPreferences.plist"
    assert system_languages("darwin", tmp_path) == []
    settings.parent.mkdir(parents=True)
    settings.write_bytes(plistlib.dumps({"AppleLanguages": ["zh-Hans-CN", "en-CN", 3]}, fmt=plistlib.FMT_BINARY))
    assert system_languages("darwin", tmp_path) == ["zh-Hans-CN", "en-CN"]
    for hostile in (b"", b"bplist00nonsense", plistlib.dumps(["zh"]), plistlib.dumps({"AppleLanguages": 7})):
        settings.write_bytes(hostile)
        assert system_languages("darwin", tmp_path) == []
    assert system_languages("linux", tmp_path) == []


def test_one_language_for_all_threads(undecided):
    use("zh_CN.GBK")
    seen = []
    thread = threading.Thread(target=lambda: seen.append((current(), _("saved"))))
    thread.start()
    thread.join()
    assert seen == [("zh", "已保存")]
    use("en")
    assert (current(), _("saved")) == ("en", "saved")


def test_an_unknown_language_is_refused_and_changes_nothing(in_chinese):
    for language in ("xx", "", "zh\0", "../../zh"):
        with pytest.raises(ArgumentError, match="there are no texts in language") as refused:
            use(language)
        assert refused.value.do == "use en or zh"
    assert current() == "zh"


def test_plurals(in_chinese):
    one = "{n:,} row dropped: the target '{name}' is missing."
    many = "{n:,} rows dropped: the target '{name}' is missing."
    assert n_(one, many, 1) == n_(one, many, 5) == "去掉 {n:,} 行：目标“{name}”缺失。"
    use("en")
    assert (n_(one, many, 1), n_(one, many, 0)) == (one, many)


def test_a_missing_catalogue_leaves_english(undecided, monkeypatch, tmp_path):
    monkeypatch.setattr("hotloop.language.reader._CATALOGUES", tmp_path)
    use("zh")
    assert _("saved") == "saved"
