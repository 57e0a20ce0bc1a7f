"""Reading a source is stopped from its page, and only while there is something to stop."""

import pytest
from django.urls import reverse

from prosa.knowledge.models import Source


@pytest.mark.parametrize("language", ["pt-br", "es", "en"])
def test_a_reading_is_stopped_and_the_page_says_so(admin_client, business, language):
    source = Source.objects.create(business=business, kind="sitemap", name="Site", status="running", total=10, done=4)
    page = reverse("admin:prosa_knowledge_source_change", args=[source.pk])
    stop = reverse("admin:prosa_knowledge_source_stop", args=[source.pk])
    assert f'action="{stop}"' in admin_client.get(page).content.decode()
    assert admin_client.get(stop).status_code == 405
    headers = {"accept-language": language}
    shown = admin_client.post(stop, follow=True, headers=headers)
    source.refresh_from_db()
    assert source.status == "stopped"
    assert len(list(shown.context["messages"])) == 1
    assert f'action="{stop}"' not in shown.content.decode()
    assert not list(admin_client.post(stop, follow=True, headers=headers).context["messages"]), (
        "there is nothing to stop"
    )
