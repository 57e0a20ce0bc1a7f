"""What is wrong with a source, in the reader's language.

An error of a source is stored as it was raised: a sentence in English with its particulars, and a second one with the next
move. Here stand these sentences without their particulars; what was stored is recognised by them and told again in the
reader's language. What no sentence fits (an error of a plug-in's) is shown as it was stored. A test keeps the lists complete.
"""

from __future__ import annotations

import re
from functools import lru_cache
from re import Match, Pattern

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

WHAT = (
    _("It has more than %(count)s items."),
    _("%(name)s is bigger than %(count)s MB."),
    _("This source has no file."),
    _("This source has no text."),
    _("This source names no folder."),
    _("%(name)s is not below %(folder)s."),
    _("%(name)s is no folder on this machine."),
    _("%(name)s cannot be opened: %(reason)s."),
    _("%(name)s is a link out of its folder."),
    _("This source has no address."),
    _("It is not there any more."),
    _("%(name)s is not there any more."),
    _("Sources of the kind %(name)s are not known here."),
    _("The name %(name)s… is longer than %(count)s bytes."),
    _("%(name)s answers %(status)s."),
    _("%(name)s redirects more than %(count)s times."),
    _("An address at %(name)s holds a user name."),
    _("The robots.txt of %(name)s asks not to read %(url)s."),
    _("%(name)s unpacks to more than %(count)s MB."),
    _("%(name)s is no address of the web."),
    _("%(name)s is a broken gzip file."),
    _("%(name)s is broken XML: %(reason)s."),
    _("%(name)s is no sitemap."),
    _("%(name)s takes more memory than one document may."),
    _("%(name)s cannot be read: %(reason)s."),
    _("%(name)s takes longer than %(count)s s to read."),
    _("Something broke: %(reason)s."),
    _("%(name)s sent more than %(count)s bytes."),
    _("%(name)s redirects too often."),
    _("%(name)s could not be reached several times in a row."),
    _("%(name)s took a %(method)s request and did not answer: %(reason)s."),
    _("Only http:// and https:// addresses with a host are called."),
    _("No connection to %(name)s: %(reason)s."),
    _("The address at %(name)s is not a valid URL."),
    _("The address is not a valid URL."),
    _("The request to %(name)s has a header that cannot be sent."),
    _("%(name)s is a private or local address."),
    _("%(name)s has no text."),
    _("%(name)s has no text, only pictures of pages."),
    _("%(name)s holds more than %(count)s characters of text."),
    _("%(name)s is empty."),
    _("%(name)s is %(what)s."),
    _("%(name)s is %(what)s inside."),
    _("%(name)s is not %(what)s inside."),
    _("Files that end in %(name)s are not read."),
    _("%(name)s is protected by a password or in an old Office format."),
    _("%(name)s is nested too deep to be a page."),
    _("%(name)s has more than %(count)s elements."),
    _("%(name)s is broken: %(reason)s."),
    _("%(name)s is protected by a password."),
    _("%(name)s declares XML entities, which no office program writes."),
    _("%(name)s has more than %(count)s pages."),
    _("%(name)s is not text."),
    _("%(name)s is no readable CSV: %(reason)s."),
    _("%(name)s has more than %(count)s cells."),
)
"""What happened: the first line."""
MOVES = (
    _("Make several sources of it."),
    _("Split it or leave its pictures out."),
    _("Upload one."),
    _("Paste one."),
    _("Give its path."),
    _("Put the files there, set PROSA_KNOWLEDGE_DIR, or add it with: prosa knowledge add %(name)s"),
    _("Correct its path, or make it."),
    _("Correct its permissions."),
    _("Copy the file into it."),
    _("Give one."),
    _("Nothing is to be done."),
    _("Install the package that brings them, or remove the source."),
    _("Shorten it."),
    _("Upload it again."),
    _("Check its permissions."),
    _("Check the path and its permissions."),
    _("Check the address; pages behind a login are not read."),
    _("Give the address where it ends."),
    _("Pages behind a login are not read."),
    _("It will be tried again."),
    _("Split the sitemap."),
    _("Ask its owner to allow %(name)s."),
    _("Correct it."),
    _("Ask the site's owner to publish it again."),
    _("Give the address of a sitemap.xml, or add the page itself."),
    _("Split it, or save it again."),
    _("Open it, save it again, and add that."),
    _("Split it."),
    _("The worker's log has the details."),
    _("Nothing of it was kept."),
    _("The file was not fetched."),
    _("It rests for a moment."),
    _("Correct the address."),
    _("Enter the credentials again."),
    _("Look for its result before repeating it."),
    _("Only addresses named in the settings may be private."),
    _("Add a file with text."),
    _("Unpack it, and add it as %(formats)s."),
    _("Rename it to end in %(name)s and add it again."),
    _("Open it, save it as one again, and add that."),
    _("Save it as %(formats)s."),
    _("Save it as DOCX or XLSX without a password."),
    _("Add a document: %(formats)s."),
    _("Save it again from a browser, or paste its text."),
    _("Save it without a password and add it again."),
    _("Save it again from one."),
    _("Run text recognition (OCR) on it first."),
    _("Open it, save or print it as PDF again, and add that."),
    _("Add it as PDF, DOCX, XLSX, CSV, HTML, Markdown or text."),
    _("Export it again, as CSV in UTF-8."),
    _("Split it, or keep only what customers ask about."),
)
"""What to do next: the second line."""
NAMES = (
    _("a PDF"),
    _("a Word document"),
    _("an Excel workbook"),
    _("a ZIP archive"),
    _("a picture"),
    _("a picture or sound"),
    _("an archive"),
    _("an RTF document"),
    _("a sound"),
    _("PDF, DOCX, XLSX, CSV, HTML, Markdown or text"),
)
"""Particulars that are words."""

_MOST = 4_000  # characters of a line that is looked at
_PARTICULAR = re.compile(r"%\((\w+)\)s")


def told(error: str) -> tuple[str, str]:
    """What happened and the next move, in the language that is active."""
    what, _newline, move = error.partition("\n")
    return _again(what, WHAT), _again(move, MOVES)


def in_one_line(error: str) -> str:
    """Both, for a terminal."""
    return " ".join(filter(None, told(error)))


def sentence(line: str, known: tuple[str, ...]) -> tuple[str, Match[str]] | None:
    """Which of the ``known`` sentences a stored line is, and its particulars."""
    if len(line) > _MOST:
        return None
    return next(((each, found) for each, pattern in _patterns(known) if (found := pattern.fullmatch(line))), None)


def _again(line: str, known: tuple[str, ...]) -> str:
    if (found := sentence(line, known)) is None:
        return line
    msgid, particulars = found
    given = {name: gettext(value) if value in NAMES else value for name, value in particulars.groupdict().items()}
    return gettext(msgid) % given if given else gettext(msgid)


@lru_cache(maxsize=4)
def _patterns(known: tuple[str, ...]) -> tuple[tuple[str, Pattern[str]], ...]:
    """The one that says most in words of its own comes first: "is empty" before "is …"."""
    ordered = sorted(known, key=lambda each: -len(_PARTICULAR.sub("", each)))
    return tuple((each, re.compile(_pattern(each), re.DOTALL)) for each in ordered)


def _pattern(msgid: str) -> str:
    parts = _PARTICULAR.split(msgid)
    return "".join(f"(?P<{part}>.+)" if place % 2 else re.escape(part) for place, part in enumerate(parts))
