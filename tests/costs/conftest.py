import pytest

from prosa.business.models import Business


@pytest.fixture
def business(db):
    return Business.objects.create(name="Doces da Ana", slug="doces", model="openai-chat:gpt-4.1-mini")
