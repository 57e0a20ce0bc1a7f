"""Every sentence people see exists in Portuguese and Spanish, and the compiled catalogues are those of the sources."""

import ast
import re
from pathlib import Path

import polib
import pytest
from django.utils.translation import gettext, ngettext, override
from django.utils.translation.template import templatize

import prosa

PACKAGE = Path(prosa.__file__).parent
LOCALES = ("pt_BR", "es")
MARKS = {"_", "gettext", "gettext_lazy", "gettext_noop", "ngettext", "ngettext_lazy", "pgettext", "pgettext_lazy"}
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w+\}")


def catalogue(locale):
    return polib.pofile(str(PACKAGE / "locale" / locale / "LC_MESSAGES" / "django.po"))


def in_python(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            first = node.args[1 if name.startswith("pgettext") else 0] if name in MARKS and node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str) and first.value:
                yield first.value


def in_template(path):
    for match in re.finditer(
        r"""\bn?gettext\(u?("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\"\"\".*?\"\"\"|'''.*?''')""",
        templatize(path.read_text("utf-8")),
        re.DOTALL,
    ):
        yield ast.literal_eval(match[1])


def sentences():
    found = {}
    for path in PACKAGE.rglob("*.py"):
        if "migrations" not in path.parts:
            found.update(dict.fromkeys(in_python(path), path.relative_to(PACKAGE)))
    for path in PACKAGE.rglob("templates/**/*.html"):
        found.update(dict.fromkeys(in_template(path), path.relative_to(PACKAGE)))
    return found


def test_the_search_for_sentences_finds_them():
    found = sentences()
    assert len(found) > 300
    assert "Give back to the bot" in found  # a template's
    assert "Dead letters" in found  # Python's


@pytest.mark.parametrize("locale", LOCALES)
def test_every_sentence_of_the_code_is_in_the_catalogue(locale):
    known = {entry.msgid for entry in catalogue(locale) if not entry.obsolete}
    missing = {text: str(path) for text, path in sentences().items() if text not in known}
    assert missing == {}, (
        "Run in src/prosa: django-admin makemessages -l pt_BR -l es --no-location --no-wrap, and translate."
    )


@pytest.mark.parametrize("locale", LOCALES)
def test_nothing_is_empty_doubtful_or_left_over(locale):
    entries = catalogue(locale)
    assert [entry.msgid for entry in entries if not entry.obsolete and not entry.translated()] == []
    assert [entry.msgid for entry in entries if entry.fuzzy] == []
    assert [entry.msgid for entry in entries if entry.obsolete] == []


@pytest.mark.parametrize("locale", LOCALES)
def test_placeholders_survive_translation(locale):
    for entry in catalogue(locale):
        expected = sorted(PLACEHOLDER.findall(entry.msgid))
        for text in [entry.msgstr] if entry.msgstr else entry.msgstr_plural.values():
            assert sorted(PLACEHOLDER.findall(text)) == expected, entry.msgid


@pytest.mark.parametrize("locale", LOCALES)
def test_the_compiled_catalogue_is_in_step(locale):
    compiled = polib.mofile(str(PACKAGE / "locale" / locale / "LC_MESSAGES" / "django.mo"))
    assert {(one.msgid, one.msgstr, tuple(sorted(one.msgstr_plural.items()))) for one in compiled} == {
        (one.msgid, one.msgstr, tuple(sorted(one.msgstr_plural.items())))
        for one in catalogue(locale)
        if not one.obsolete
    }, "Run in src/prosa: django-admin compilemessages."


def test_django_speaks_them():
    with override("pt-br"):
        assert gettext("Give back to the bot") == "Devolver ao robô"
        assert ngettext("%d key revoked.", "%d keys revoked.", 2) % 2 == "2 chaves revogadas."
    with override("es"):
        assert gettext("Waiting for a person") == "Esperando a una persona"
        assert ngettext("%d key revoked.", "%d keys revoked.", 1) % 1 == "1 clave revocada."
