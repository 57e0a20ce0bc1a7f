from __future__ import annotations

import pytest
from django.test import AsyncClient, Client


@pytest.mark.parametrize("address", ["/admin/login/?next=%00", "/admin/?q=a%00b", "/%00"])
def test_an_address_with_nul_is_refused(address: str, db: None):
    assert Client().get(address).status_code == 400


async def test_also_under_asgi():
    assert (await AsyncClient().get("/admin/login/?next=%00")).status_code == 400


def test_others_are_not(db: None):
    assert Client().get("/admin/login/?next=%20").status_code == 200
