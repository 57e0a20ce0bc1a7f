"""Files that are given to us, while a worker reads the one before."""

from __future__ import annotations

import threading
import time

import pytest
from django.core.files.base import ContentFile
from django.db import connection, connections, transaction

from prosa.business.models import Business
from prosa.knowledge import uploads
from prosa.knowledge.models import Source


@pytest.mark.django_db(transaction=True)
def test_an_upload_and_the_synchronisation_of_the_one_before_do_not_wait_for_each_other():
    business = Business.objects.create(name="Shop", slug="shop")
    first = uploads.add(business, "frete.txt", ContentFile(b"um"))

    def upload() -> None:
        uploads.add(business, "frete.txt", ContentFile(b"dois"))
        connections.close_all()

    again = threading.Thread(target=upload)
    with transaction.atomic():
        # As a synchronisation stores: first its source, then the business.
        Source.objects.select_for_update().get(pk=first.pk)
        again.start()
        until_somebody_waits()
        Business.objects.select_for_update(no_key=True, nowait=True).get(pk=business.pk)
    again.join(60)
    with Source.objects.get().file.open() as stored:
        assert stored.read() == b"dois"


def until_somebody_waits() -> None:
    end = time.monotonic() + 60
    with connection.cursor() as cursor:
        while time.monotonic() < end:
            cursor.execute("select count(*) from pg_locks where not granted")
            if cursor.fetchone()[0]:
                return
            time.sleep(0.01)
    raise AssertionError("nobody waits")


@pytest.mark.django_db(transaction=True)
def test_a_source_of_another_kind_keeps_its_name():
    business = Business.objects.create(name="Shop", slug="shop")
    Source.objects.create(business=business, kind="text", name="frete.txt", config={"text": "x"})
    made = [uploads.add(business, "C:\\docs\\frete.txt", ContentFile(b"um")) for _ in range(2)]
    assert [each.name for each in made] == ["frete.txt (2)", "frete.txt (3)"]
