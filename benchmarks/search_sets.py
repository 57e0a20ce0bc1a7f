"""Questions with known answers in Portuguese, Spanish and English, from real texts that any Debian machine has or gets.

Sets of different kinds. ``packages``: the short description of a package is the question, its long one the document
(translated by Debian's teams; ``apt-get update`` fetches them). ``manuals``: the line that says what a manual page is about
is the question, the page without it the document. ``desktop``: what a page of GNOME's help is about, in one sentence, and the
page; the same pages stand there in all three languages. ``office``: the title of a page of LibreOffice's help, and the page
without it. ``handbook``: long pages of the Debian handbook, in many passages each, asked by the heading of one of their
sections beside the page's, in all three languages; headings are taken out.

In the first two and in ``office`` a document is told in one language only, and none says nearly the same as another. Each set
is cut in two by the name of the document: ``tune`` is for steering, ``held`` for the figures. Nothing is kept here, because
neither size nor licences suit this repository; ``build`` is what ``search_quality.py`` measures on.

Fetch the descriptions and the help with::

    apt-get update -o Dir::State::Lists=LISTS -o Acquire::Languages= \
        -o Acquire::Languages::=en -o Acquire::Languages::=pt_BR -o Acquire::Languages::=es
    apt-get download gnome-user-docs debian-handbook libreoffice-help-{pt-br,es,en-us}
    for each in *.deb; do dpkg-deb -x $each HELP; done
"""

from __future__ import annotations

import gzip
import html
import random
import re
import subprocess
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MOST_LETTERS = 1500
"""Of a document: about one chunk."""
LANGUAGES = ("pt", "es", "en")


@dataclass(frozen=True, slots=True)
class Item:
    """A question and the document that answers it."""

    id: str
    lang: str
    question: str
    text: str


@dataclass(frozen=True, slots=True)
class Set:
    """What is searched, and what is asked of it."""

    name: str
    items: tuple[Item, ...]

    def half(self, held: bool) -> tuple[Item, ...]:
        """The questions for steering, or those held out. Both are asked of all documents."""
        return tuple(item for item in self.items if bool(zlib.crc32(item.id.encode()) & 1) is held)


def build(lists: Path, help_: Path, manuals: Path = Path("/usr/share/man"), most: int = 1000) -> list[Set]:
    """All sets, the same on every run, those empty whose texts are not there; ``most`` items of each language."""
    return [
        Set("packages", _packages(lists, most)),
        Set("manuals", _manuals(manuals, most // 2)),
        Set("desktop", _desktop(help_ / "usr/share/help")),
        Set("office", _office(help_ / "usr/share/libreoffice/help", most // 3)),
        Set("handbook", _handbook(help_ / "usr/share/doc/debian-handbook/html")),
    ]


def mistyped(text: str, seed: str = "") -> str:
    """One random edit in one of the words of five letters or more, in two when there are four."""
    chance = random.Random(f"{seed}{text}")
    words = text.split(" ")
    long = [at for at, word in enumerate(words) if len(word) >= 5 and word.isalpha()]
    for at in chance.sample(long, min(len(long), 2 if len(long) >= 4 else 1)):
        word, place = words[at], chance.randrange(len(words[at]))
        letter = chance.choice("abcdefghijlmnoprstuvz")
        words[at] = chance.choice(
            [
                word[:place] + word[place + 1 :],
                word[:place] + letter + word[place:],
                word[:place] + letter + word[place + 1 :],
                word[:place] + word[place : place + 2][::-1] + word[place + 2 :],
            ]
        )
    return " ".join(words)


ASKED = {
    "pt": "oi, você pode me dizer qual programa vocês têm para {}? quanto custa, e quando chega?",
    "es": "hola, ¿usted me puede decir qué programa tienen para {}? ¿cuánto cuesta y cuándo llega, por favor?",
    "en": "hi, can you tell me what program you have for {}? how much is it, please, and when are you open?",
}
"""A customer's question around the words that matter."""
CHAT = {
    "você": "vc", "vocês": "vcs", "qual": "ql", "thanks": "thx", "why": "y", "beleza": "blz", "quanto": "qto", "quando": "qdo", "para": "p/", "com": "c/", "que": "q", "de": "d",
    "não": "ñ", "porque": "pq", "também": "tbm", "muito": "mto", "oi": "oie", "hoje": "hj", "mensagem": "msg", "por": "p",
    "usted": "ud", "qué": "q", "cuánto": "cto", "cuándo": "cdo", "por favor": "xfa", "también": "tb", "hola": "ola", "mensaje": "msj",
    "you": "u", "are": "r", "with": "w/", "without": "w/o", "please": "plz", "for": "4", "and": "&", "what": "wat", "how": "hw",
    "when": "wen", "have": "hv", "message": "msg", "your": "ur", "to": "2", "because": "bc",
}  # fmt: skip
"""How a chat spells them; partly other spellings than ``prosa.knowledge.words`` was written for."""


def chatted(text: str) -> str:
    """As in a chat."""
    return re.sub(r"\w+", lambda found: CHAT.get(found[0].lower(), found[0]), text.lower())


def _packages(lists: Path, most: int) -> tuple[Item, ...]:
    read = {}
    for lang, mark in (("es", "es"), ("pt", "pt*BR"), ("en", "en")):
        found = dict[str, tuple[str, str]]()
        for file in sorted(lists.glob(f"*_main_i18n_Translation-{mark}*")):
            told = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", file], capture_output=True, check=True).stdout
            found |= dict(_described(told.decode()))
        read[lang] = found
    return _chosen(read, most)


def _described(told: str) -> Iterator[tuple[str, tuple[str, str]]]:
    for entry in told.split("\n\n"):
        if name := re.search(r"^Package: (.+)$", entry, re.MULTILINE):
            text = re.search(r"^Description-(?!md5)\w+: (.+)\n((?: .*\n?)*)", entry, re.MULTILINE)
            if text:
                yield name[1], (text[1], " ".join(text[2].replace("\n .\n", "\n").split()))


def _manuals(folder: Path, most: int) -> tuple[Item, ...]:
    read = {}
    for lang, places in (("es", ("es",)), ("pt", ("pt_BR", "pt")), ("en", (".",))):
        found = dict[str, tuple[str, str]]()
        for file in sorted(path for place in places for path in (folder / place).glob("man[15678]/*.gz")):
            if file.name.startswith("gcloud"):  # eight thousand that say the same
                continue
            page = gzip.decompress(file.read_bytes()).decode("utf-8", "replace")
            told = re.search(
                r'\n\.SH "?(?:NAME|NOME|NOMBRE)"?\n(.+?)\n\.SH[^\n]*\n(.+)', page, re.DOTALL | re.IGNORECASE
            )
            about = told and re.split(r"\s(?:\\-|-|\\\(em|–)+\s", _plain(told[1]), maxsplit=1)
            if told and about and len(about) == 2:
                found.setdefault(file.name.split(".")[0], (about[1], _plain(told[2])))
        read[lang] = found
    return _chosen(read, most)


def _desktop(folder: Path) -> tuple[Item, ...]:
    items = []
    for lang, place in (("es", "es"), ("pt", "pt_BR"), ("en", "C")):
        for file in sorted((folder / place).glob("*/*.page")):
            page = file.read_text("utf-8")
            about = re.search(r"<desc>(.+?)</desc>", page, re.DOTALL)
            question, text = _told(about[1] if about else ""), _told(page.partition("</info>")[2])
            text = text.removeprefix(_told((re.findall(r"</info>\s*<title>(.+?)</title>", page, re.DOTALL) or [""])[0]))
            if len(question.split()) >= 3 and len(text) >= 150:
                items.append(Item(f"{lang}:{file.parent.name}/{file.stem}", lang, question, text[: 2 * MOST_LETTERS]))
    return tuple(items)


def _office(folder: Path, most: int) -> tuple[Item, ...]:
    read = {}
    for lang, place in (("es", "es"), ("pt", "pt-BR"), ("en", "en-US")):
        found = dict[str, tuple[str, str]]()
        for file in sorted((folder / place / "text").glob("*/*/*.html")):
            page = re.search(r"<h1[^>]*>(.+?)</h1>(.+?)<div id=\"SearchFrame\"", file.read_text("utf-8"), re.DOTALL)
            if page:
                text = _told(re.sub(r'<a name="related".*', "", page[2], flags=re.DOTALL))
                found[f"{file.parents[1].name}/{file.parent.name}/{file.stem}"] = (_told(page[1]), text)
        read[lang] = found
    return _chosen(read, most)


def _handbook(folder: Path) -> tuple[Item, ...]:
    items = []
    for lang, place in (("es", "es-ES"), ("pt", "pt-BR"), ("en", "en-US")):
        for file in sorted((folder / place).glob("*.html")):
            page = file.read_text("utf-8").partition('<div class="section">')[2].partition('<ul class="docnav">')[0]
            headings = [_heading(one) for one in re.findall(r'<h[2-5] class="title">(.+?)</h[2-5]>', page, re.DOTALL)]
            asked = [f"{one} ({headings[0]})" for one in headings[1:]]
            parts = re.findall(r'<(?:div class="para"|pre[^>]*)>(.+?)</(?:div|pre)>', page, re.DOTALL)
            if asked:
                at = zlib.crc32(file.stem.encode()) % len(asked)
                items.append(Item(f"{lang}:{file.stem}", lang, asked[at], "\n\n".join(map(_told, parts))))
    return tuple(items)


def _heading(source: str) -> str:
    return re.sub(r"^[\d.\s]+", "", _told(source))


def _told(source: str) -> str:
    """The text of HTML or XML."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", re.sub(r"<!--.*?-->", " ", source, flags=re.DOTALL))).split())


_ACCENTS = dict(zip("'`^~:,", "\u0301\u0300\u0302\u0303\u0308\u0327", strict=True))


def _plain(source: str) -> str:
    """A manual page's source without its commands."""
    source = re.sub(
        r"\\\((['`^~:,])(\w)", lambda found: unicodedata.normalize("NFC", found[2] + _ACCENTS[found[1]]), source
    )
    source = re.sub(r"^['.](?:\\\"|IX ).*$", "", source, flags=re.MULTILINE)
    source = re.sub(r"^\.(?:SH|SS|TH|IP|TP|PP|P|B|I|BR|IR|RB|BI|IB|RI|nf|fi|sp|br|RS|RE|LP|HP|ad|nh|hy|if|ie|el|de|ds|in|ti|ne|na|PD|UR|UE|SM|Nm|Nd|Op|Ar|Fl)\b", "", source, flags=re.MULTILINE)  # fmt: skip
    source = re.sub(r"\\f(?:\[\w*\]|\(\w\w|\w)|\\[&|^/,]|\\s[-+]?\d", "", source)
    return " ".join(source.replace("\\-", "-").replace('"', " ").replace("\\(cq", "'").replace("\\(aq", "'").split())


def _chosen(read: dict[str, dict[str, tuple[str, str]]], most: int) -> tuple[Item, ...]:
    """Of each language some, in an order that chance gave once; the rarer languages choose first."""
    chosen: list[Item] = []
    beginnings, asked, named = set[str](), set[str](), set[str]()
    for lang, found in read.items():
        count = 0
        for name in sorted(found, key=lambda one: zlib.crc32(f"order {one}".encode())):
            question, text = found[name]
            question = question.replace(name, " ").strip(" .:-")
            start = re.sub(r"\W+", "", text)[:60]
            if count == most or name in named or start in beginnings or question in asked:
                continue
            if len(question.split()) < 3 or len(text) < 150:
                continue
            beginnings.add(start)
            asked.add(question)
            named.add(name)
            chosen.append(Item(f"{lang}:{name}", lang, question, text[:MOST_LETTERS]))
            count += 1
    return tuple(chosen)
