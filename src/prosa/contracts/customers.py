"""Who a contact is in a system of the business's own: an ERP's customer, a shop's buyer, a user of the platform."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from prosa.contracts.messages import Identity


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody a contact may be. ``key`` is their number there, ``label`` what people read.

    ``phone`` and ``email`` are what the system itself has on record: whether that is what the contact proved is judged by us.
    ``about``: a few words to tell namesakes apart (a city, a customer number).
    """

    key: str
    label: str
    phone: str = ""
    email: str = ""
    about: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """An order, as one line: ``total`` and ``status`` in words of the system, ``url`` (http) where people look at it."""

    title: str
    date: date | None = None
    total: str = ""
    status: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """What people at the desk see of a linked customer: facts as (name, value), the last orders, and a page of the system."""

    facts: Sequence[tuple[str, str]] = ()
    orders: Sequence[Order] = ()
    url: str = ""


@dataclass(frozen=True, slots=True)
class CustomerRegister:
    """Where customers of a business are known: see ``hookspecs.customer_registers``. Every function gets the business's id
    first, and must look at nothing that is not that business's.

    ``kind`` names the register in links (``odoo``; letters, digits and ``_``), ``name`` is what people read. ``find`` gives
    those whom these identities may be (the phones canonical: compare with :mod:`prosa.phones`), ``search`` those whom words
    typed by a person may mean, ``profile`` what is known of one, by key. They are called in a thread of their own and are
    given up after some seconds, unless ``local`` says that they only ask this installation's database.
    """

    kind: str
    name: str
    find: Callable[[int, Sequence[Identity]], Iterable[Candidate]]
    search: Callable[[int, str], Iterable[Candidate]] | None = None
    profile: Callable[[int, str], Profile | None] | None = None
    local: bool = False
