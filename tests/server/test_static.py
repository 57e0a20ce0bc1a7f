"""Static files come whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from prosa.server.static import StaticFiles


@pytest.mark.parametrize("changed", ["", "p { color: red }", "body { margin: 0 } /* and more than there was */"])
def test_a_file_changed_in_place_is_announced_as_long_as_it_is(tmp_path: Path, settings, changed: str):
    settings.STATIC_ROOT, settings.STATIC_URL = str(tmp_path), "/static/"
    settings.WHITENOISE_USE_FINDERS = settings.WHITENOISE_AUTOREFRESH = False
    sheet = tmp_path / "desk.css"
    sheet.write_text("body { margin: 0 }")

    def nothing(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(status=404)

    files = StaticFiles(nothing)
    if changed:
        sheet.write_text(changed)
    answer = files(RequestFactory().get("/static/desk.css"))
    assert answer.status_code == 200
    assert answer.content == sheet.read_bytes()
    assert answer.headers["Content-Length"] == str(len(answer.content))
