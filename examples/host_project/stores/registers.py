"""Prosa: the buyers of a shop, so that its people see at the desk who writes and what they ordered."""

from django.db.models import Q

from prosa import phones
from prosa.contracts import Candidate, CustomerRegister, Order, Profile
from prosa.hookspecs import hookimpl
from stores.models import Buyer


def of(business_id):
    """Buyers of the shop this business is, and of no other."""
    return Buyer.objects.filter(store__business_id=business_id)


def candidate(buyer):
    """Our field for the number is ``mobile``; Prosa compares it with what the contact proved."""
    return Candidate(str(buyer.pk), buyer.name, phone=buyer.mobile, email=buyer.email)


def find(business_id, identities):
    """By number, in every spelling of it, by e-mail address, or by our own id, signed by our site."""
    wanted = Q(pk=None)
    for each in identities:
        if each.kind == "phone":
            wanted |= Q(mobile__in=phones.variants(each.value))
        elif each.kind == "email":
            wanted |= Q(email__iexact=each.value)
        elif each.kind == "signed" and each.value.isdecimal():
            wanted |= Q(pk=each.value)
    return [candidate(buyer) for buyer in of(business_id).filter(wanted)]


def search(business_id, words):
    """By name, as people at the desk type it."""
    return [candidate(buyer) for buyer in of(business_id).filter(name__icontains=words)[:20]]


def profile(business_id, key):
    """The last orders."""
    buyer = of(business_id).filter(pk=key).first()
    if buyer is None:
        return None
    orders = [
        Order(str(order), order.placed_on, f"R$ {order.total}", order.status)
        for order in buyer.orders.order_by("-placed_on")[:5]
    ]
    return Profile(orders=orders)


@hookimpl
def customer_registers():
    """One register; ``local``, for it only asks our own database."""
    return [CustomerRegister("feira", "Feira", find, search, profile, local=True)]
