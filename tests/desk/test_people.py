"""Members, teams, invitations, one's own account, and who may touch whom."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core import mail
from django.test import Client, override_settings
from django.utils import timezone

from prosa.business.models import Business
from prosa.business.people import Invitation, Membership, Role, Team
from prosa.conversations.models import Conversation, State
from prosa.desk import resetting
from prosa.desk.models import AuditEntry, Person, SignedIn

Member = Callable[..., Membership]
Desk = Callable[[Membership], Client]
PASSWORD = "um-segredo-bem-longo"


@pytest.fixture
def ada(member: Member) -> Membership:
    return member("Ada", Role.OWNER)


@pytest.fixture
def max_(member: Member) -> Membership:
    return member("Max", Role.ADMIN)


def again(row: Any) -> Any:
    row.refresh_from_db()
    return row


def kinds(business: Business) -> list[str]:
    return list(AuditEntry.objects.filter(business=business).order_by("pk").values_list("kind", flat=True))


def with_password(member: Membership, email: str = "") -> User:
    user: User = member.user
    user.email = email
    user.set_password(PASSWORD)
    user.save()
    return user


# ── who may open what ──

PAGES = ("/agent/members", "/agent/teams", "/agent/teams/new", "/agent/audit")


@pytest.mark.parametrize("address", PAGES)
def test_pages_of_people_are_for_owners_and_administrators(
    address: str, ada: Membership, max_: Membership, bia: Membership, member: Member, at_desk: Desk, client: Client
):
    assert client.get(address).status_code == 302
    assert at_desk(ada).get(address).status_code == at_desk(max_).get(address).status_code == 200
    assert at_desk(bia).get(address).status_code == at_desk(member("Vera", Role.VIEWER)).get(address).status_code == 403


@pytest.mark.parametrize("address", ["/agent/account", "/agent/account/two-step"])
def test_everybody_has_an_account_page(address: str, member: Member, at_desk: Desk, client: Client):
    assert client.get(address).status_code == 302
    assert at_desk(member("Vera", Role.VIEWER)).get(address).status_code == 200


def test_a_business_never_touches_anothers_people(
    ada: Membership, bia: Membership, member: Member, elsewhere: Business, at_desk: Desk
):
    eva = member("Eva", Role.OWNER, elsewhere)
    leo = member("Leo", Role.AGENT, elsewhere)
    team = Team.objects.create(business=elsewhere, name="Segredo")
    invited = Invitation.objects.create(
        business=elsewhere, email="x@example.com", token_hash="h", expires_at=timezone.now() + timedelta(days=1)
    )
    client = at_desk(ada)
    for address in (f"/agent/members/{leo.pk}", f"/agent/teams/{team.pk}"):
        assert client.get(address).status_code == 404
    for address in (
        f"/agent/members/{leo.pk}",
        f"/agent/members/{leo.pk}/remove",
        f"/agent/teams/{team.pk}",
        f"/agent/teams/{team.pk}/delete",
        f"/agent/invitations/{invited.pk}/again",
        f"/agent/invitations/{invited.pk}/withdraw",
    ):
        values = {"role": "viewer", "capacity": "1", "name": "Meu"}
        assert client.post(address, values).status_code == 404, address
    shown = "".join(client.get(page).content.decode() for page in PAGES)
    assert not re.search(r"\bEva\b|\bLeo\b|Segredo|x@example", shown)
    # Nor is a stranger put into a team.
    client.post("/agent/teams/new", {"name": "Vendas", "members": [str(leo.pk), str(bia.pk)]})
    assert not Team.objects.filter(business=ada.business).exists()
    assert again(leo).role == Role.AGENT
    assert again(leo).left_at is again(eva).left_at is None
    assert again(team).name == "Segredo"
    assert again(invited).revoked_at is None
    assert ">Eva<" not in at_desk(ada).get(f"/agent/audit?who={eva.user_id}").content.decode()


@pytest.mark.parametrize(
    "address",
    [
        "/agent/members/invite",
        "/agent/teams/new",
        "/agent/account/save",
        "/agent/account/password",
        "/agent/account/sessions/end",
        "/agent/account/two-step/begin",
        "/agent/available",
    ],
)
def test_nothing_is_changed_from_another_site(address: str, ada: Membership):
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada.user)
    assert client.post(address, {"name": "X", "email": "a@example.com"}).status_code == 403
    assert client.get(address).status_code in (405, 200)
    assert not Team.objects.exists()
    assert not Invitation.objects.exists()


# ── members ──


def test_a_role_and_a_capacity_are_changed_and_written_down(
    ada: Membership, bia: Membership, at_desk: Desk, business: Business
):
    client = at_desk(ada)
    assert "Bia" in client.get("/agent/members").content.decode()
    assert client.post(f"/agent/members/{bia.pk}", {"role": "admin", "capacity": "3"}).status_code == 302
    assert (again(bia).role, bia.capacity) == (Role.ADMIN, 3)
    assert kinds(business)[-2:] == ["role_changed", "capacity_changed"]
    entry = AuditEntry.objects.get(kind="role_changed")
    assert (entry.user, entry.subject, entry.data) == (ada.user, "Bia", {"old": "agent", "new": "admin"})
    assert entry.address == "127.0.0.1"
    for wrong in ({"role": "king", "capacity": "3"}, {"role": "agent", "capacity": "-1"}, {"role": "agent"}):
        assert client.post(f"/agent/members/{bia.pk}", wrong).status_code == 422
    assert (again(bia).role, bia.capacity) == (Role.ADMIN, 3)


def test_an_administrator_neither_makes_nor_touches_owners(
    ada: Membership, max_: Membership, bia: Membership, at_desk: Desk, member: Member
):
    member("Olga", Role.OWNER)
    client = at_desk(max_)
    client.post(f"/agent/members/{ada.pk}", {"role": "agent", "capacity": "0"})
    client.post(f"/agent/members/{ada.pk}/remove")
    assert (again(ada).role, ada.left_at) == (Role.OWNER, None)
    for one in (bia, max_):
        assert client.post(f"/agent/members/{one.pk}", {"role": "owner", "capacity": "6"}).status_code == 422
    assert client.post("/agent/members/invite", {"email": "o@example.com", "role": "owner"}).status_code == 422
    assert (again(bia).role, again(max_).role) == (Role.AGENT, Role.ADMIN)
    assert not Invitation.objects.exists()
    assert client.post(f"/agent/members/{bia.pk}", {"role": "viewer", "capacity": "6"}).status_code == 302
    assert again(bia).role == Role.VIEWER


def test_the_last_owner_stays(ada: Membership, at_desk: Desk, member: Member):
    client = at_desk(ada)
    client.post(f"/agent/members/{ada.pk}", {"role": "admin", "capacity": "6"})
    said = client.post(f"/agent/members/{ada.pk}/remove", follow=True).content.decode()
    assert "last owner" in said
    assert (again(ada).role, ada.left_at) == (Role.OWNER, None)
    gone = member("Olga", Role.OWNER)
    Membership.objects.filter(pk=gone.pk).update(left_at=timezone.now())
    client.post(f"/agent/members/{ada.pk}", {"role": "admin", "capacity": "6"})
    assert again(ada).role == Role.OWNER
    member("Otto", Role.OWNER)
    client.post(f"/agent/members/{ada.pk}", {"role": "admin", "capacity": "6"})
    assert again(ada).role == Role.ADMIN


def test_who_is_removed_comes_in_no_more_and_leaves_nothing_hanging(
    ada: Membership, bia: Membership, at_desk: Desk, talk: Callable[..., Conversation], business: Business
):
    theirs = talk("Ana")
    client = at_desk(bia)
    client.post(f"/agent/c/{theirs.pk}/take")
    Team.objects.create(business=business, name="Vendas").members.add(bia)
    assert again(theirs).assignee == bia
    assert at_desk(ada).post(f"/agent/members/{bia.pk}/remove").status_code == 302
    assert again(bia).left_at is not None
    assert (again(theirs).state, theirs.assignee) == (State.AWAITING_AGENT, None)
    assert not bia.teams.exists()
    assert client.get("/agent/dashboard").status_code == 403
    assert "removed" in kinds(business)
    assert at_desk(ada).get(f"/agent/members/{bia.pk}").status_code == 404


# ── invitations ──


def invite(client: Client, email: str = "nova@example.com", role: str = "agent") -> str:
    """Invite; the path of the link in the mail."""
    mail.outbox.clear()
    assert client.post("/agent/members/invite", {"email": email, "role": role}).status_code == 302
    (letter,) = mail.outbox
    assert letter.to == [email]
    found = re.search(r"http://testserver(/agent/invitation/[\w-]+)", str(letter.body))
    assert found
    return found[1]


def test_somebody_new_follows_the_link_and_works_here(ada: Membership, at_desk: Desk, business: Business):
    link = invite(at_desk(ada))
    token = link.rsplit("/", 1)[1]
    assert token not in str(list(Invitation.objects.values()))
    guest = Client()
    page = guest.get(link).content.decode()
    assert "nova@example.com" in page
    assert guest.post(link, {"name": "Nova", "password": "12345678"}).status_code == 422
    assert not User.objects.filter(email="nova@example.com").exists()
    assert guest.post(link, {"name": "Nova Silva", "password": PASSWORD})["Location"] == "/agent/dashboard"
    made = Membership.objects.get(user__email="nova@example.com")
    assert (made.business, made.role, made.user.get_full_name()) == (business, Role.AGENT, "Nova Silva")
    assert not made.user.is_staff
    assert guest.get("/agent/dashboard").status_code == 200
    assert kinds(business) == ["signed_in", "invited", "joined", "signed_in"]
    # Once.
    assert Client().get(link).status_code == 404
    assert Client().post(link, {"name": "Eve", "password": PASSWORD}).status_code == 404


def test_who_has_an_account_signs_in_and_accepts(
    ada: Membership, member: Member, elsewhere: Business, at_desk: Desk, business: Business
):
    eva = member("Eva", Role.AGENT, elsewhere)
    with_password(eva, "Eva@example.com")
    link = invite(at_desk(ada), "eva@example.com", "admin")
    stranger = Client()
    assert f"/agent/login?next={link}" in stranger.get(link).content.decode()
    # No second account, and no password set by whoever holds the link.
    assert stranger.post(link, {"name": "Eve", "password": PASSWORD}).status_code == 200
    assert User.objects.filter(email__iexact="eva@example.com").count() == 1
    # Somebody else who is signed in may not use it.
    assert at_desk(ada).post(link).status_code == 200
    assert not Membership.objects.filter(business=business, user=eva.user).exists()
    client = at_desk(eva)
    assert client.get(link).status_code == 200
    assert client.post(link)["Location"] == "/agent/dashboard"
    assert Membership.objects.get(business=business, user=eva.user).role == Role.ADMIN
    assert business.name in client.get("/agent/dashboard").content.decode()


def test_an_invitation_ends_by_time_withdrawal_and_a_newer_one(ada: Membership, at_desk: Desk, business: Business):
    client = at_desk(ada)
    first = invite(client)
    second = invite(client)
    assert (Client().get(first).status_code, Client().get(second).status_code) == (404, 200)
    mail.outbox.clear()
    pk = Invitation.objects.get(revoked_at=None).pk
    assert client.post(f"/agent/invitations/{pk}/again").status_code == 302
    third = re.search(r"/agent/invitation/[\w-]+", str(mail.outbox[0].body))
    assert third
    assert (Client().get(second).status_code, Client().get(third[0]).status_code) == (404, 200)
    Invitation.objects.filter(pk=pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    over = Client().get(third[0])
    assert over.status_code == 404
    assert "link is not good" in over.content.decode()
    Invitation.objects.filter(pk=pk).update(expires_at=timezone.now() + timedelta(days=1))
    client.post(f"/agent/invitations/{pk}/withdraw")
    assert Client().get(third[0]).status_code == 404
    assert client.post(f"/agent/invitations/{pk}/again").status_code == 404
    assert kinds(business)[-2:] == ["invitation_sent_again", "invitation_withdrawn"]
    for wrong in ("x", "a" * 43, "ç" * 43, "a" * 500):
        assert Client().get(f"/agent/invitation/{wrong}").status_code == 404


def test_inviting_tells_nothing_of_who_has_an_account(
    ada: Membership, member: Member, elsewhere: Business, at_desk: Desk, bia: Membership
):
    with_password(member("Eva", Role.AGENT, elsewhere), "eva@example.com")
    with_password(bia, "bia@example.com")
    client = at_desk(ada)
    said = set()
    for email in ("eva@example.com", "ninguem@example.com"):
        page = client.post("/agent/members/invite", {"email": email, "role": "agent"}, follow=True).content.decode()
        (message,) = re.findall(r'<p class="\w+" role="\w+">(.*?)</p>', page)
        (row,) = re.findall(rf"<b>{email}</b>(.*?)</p>", page, re.DOTALL)
        said.add((message.replace(email, "E"), row))
    assert len(said) == 1
    assert len(mail.outbox) == 2
    # Who works here is known to those who manage them.
    assert client.post("/agent/members/invite", {"email": "BIA@example.com", "role": "agent"}).status_code == 422


def test_without_mail_the_link_is_shown_once(ada: Membership, at_desk: Desk):
    client = at_desk(ada)
    with override_settings(EMAIL_BACKEND="django.core.mail.backends.smtp.EmailBackend", EMAIL_HOST=""):
        page = client.post("/agent/members/invite", {"email": "nova@example.com", "role": "agent"}).content.decode()
    found = re.search(r"http://testserver(/agent/invitation/[\w-]+)", page)
    assert found
    assert Client().get(found[1]).status_code == 200
    assert found[1] not in client.get("/agent/members").content.decode()


def test_who_left_comes_back_by_an_invitation(ada: Membership, bia: Membership, at_desk: Desk):
    with_password(bia, "bia@example.com")
    at_desk(ada).post(f"/agent/members/{bia.pk}/remove")
    link = invite(at_desk(ada), "bia@example.com", "viewer")
    at_desk(bia).post(link)
    assert (again(bia).left_at, bia.role) == (None, Role.VIEWER)


# ── teams ──


def test_the_life_of_a_team(ada: Membership, bia: Membership, rui: Membership, at_desk: Desk, business: Business):
    client = at_desk(ada)
    made = {"name": "Vendas", "about": "preços", "members": [bia.pk, rui.pk], "fallback": "on"}
    assert client.post("/agent/teams/new", made)["Location"] == "/agent/teams"
    sales = Team.objects.get()
    assert set(sales.members.all()) == {bia, rui}
    assert client.post("/agent/teams/new", {"name": " vendas "}).status_code == 422
    assert client.post("/agent/teams/new", {"name": "Suporte", "fallback": "on"}).status_code == 302
    support = Team.objects.get(name="Suporte")
    assert (support.fallback, again(sales).fallback) == (True, False)
    assert client.post(f"/agent/teams/{sales.pk}", {"name": "Loja", "members": [rui.pk]}).status_code == 302
    assert (again(sales).name, list(sales.members.all())) == ("Loja", [rui])
    page = client.get("/agent/teams").content.decode()
    assert "Loja" in page
    assert "Rui" in page
    assert client.post(f"/agent/teams/{sales.pk}/delete").status_code == 302
    assert list(business.teams.all()) == [support]
    assert kinds(business) == ["signed_in", "team_made", "team_made", "team_changed", "team_deleted"]


# ── oneself ──


def test_one_says_whether_one_is_there(bia: Membership, at_desk: Desk):
    client = at_desk(bia)
    answer = client.post("/agent/available", {"on": "0"}, headers={"HX-Request": "true"})
    assert "away" in answer.content.decode()
    assert again(bia).available is False
    assert client.post("/agent/available", {"on": "1"})["Location"] == "/agent/dashboard"
    assert again(bia).available is True
    assert 'action="/agent/available"' in client.get("/agent/dashboard").content.decode()


def test_name_and_language_are_kept_and_spoken_in_the_next_browser(bia: Membership, at_desk: Desk):
    user = with_password(bia)
    client = at_desk(bia)
    assert client.post("/agent/account/save", {"name": " Bia   Souza ", "language": "es"}).status_code == 302
    assert again(user).get_full_name() == "Bia Souza"
    assert Person.objects.get(user=user).language == "es"
    assert 'lang="es"' in client.get("/agent/account").content.decode()
    fresh = Client()
    fresh.post("/agent/login", {"username": user.username, "password": PASSWORD})
    assert 'lang="es"' in fresh.get("/agent/account").content.decode()
    assert client.post("/agent/account/save", {"name": "x", "language": "tlh"}).status_code == 422


def test_a_new_password_signs_out_every_other_browser(bia: Membership, at_desk: Desk, business: Business):
    user = with_password(bia)
    here, there = at_desk(bia), at_desk(bia)
    new = {"old_password": PASSWORD, "new_password1": "outra-senha-longa", "new_password2": "outra-senha-longa"}
    assert here.post("/agent/account/password", new | {"old_password": "errada"}).status_code == 422
    assert here.post("/agent/account/password", new | {"new_password2": "x"}).status_code == 422
    assert here.post("/agent/account/password", new).status_code == 302
    assert again(user).check_password("outra-senha-longa")
    assert here.get("/agent/account").status_code == 200
    assert there.get("/agent/account").status_code == 302
    assert SignedIn.objects.get(user=user).session_key == here.session.session_key
    assert kinds(business)[-1] == "password_changed"


def test_the_other_browsers_are_listed_and_ended(bia: Membership, rui: Membership, at_desk: Desk, business: Business):
    with_password(bia)
    colleague = at_desk(rui)
    here, there = Client(), Client()
    for client, agent in ((here, "Mozilla/5.0 (X11; Linux) Firefox/140.0"), (there, "Mozilla/5.0 (iPhone) Safari/604")):
        signed = {"username": "bia", "password": PASSWORD}
        assert client.post("/agent/login", signed, headers={"User-Agent": agent}).status_code == 302
    page = here.get("/agent/account").content.decode()
    assert "Firefox · Linux" in page
    assert "Safari · iPhone" in page
    assert here.post("/agent/account/sessions/end").status_code == 302
    assert there.get("/agent/account").status_code == 302
    assert here.get("/agent/account").status_code == colleague.get("/agent/account").status_code == 200
    assert "Safari · iPhone" not in here.get("/agent/account").content.decode()
    assert "sessions_ended" in kinds(business)
    here.post("/agent/logout")
    assert not SignedIn.objects.filter(user=bia.user).exists()


# ── a forgotten password ──


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was given to the worker, done at once."""
    given: list[dict[str, Any]] = []

    def defer(chore: Any, key: str, lane: str = "", /, **arguments: Any) -> bool:
        given.append(arguments)
        chore(**arguments)
        return True

    monkeypatch.setattr(resetting, "defer_once", defer)
    return given


def test_a_forgotten_password_is_set_anew_by_mail(bia: Membership, at_desk: Desk, worker: Any, business: Business):
    user = with_password(bia, "bia@example.com")
    signed_in = at_desk(bia)
    Client().post("/agent/reset", {"email": "BIA@example.com"})
    (letter,) = mail.outbox
    link = re.search(r"http://testserver(/agent/reset/\S+)", str(letter.body))
    assert link
    guest = Client()
    form = guest.get(link[1])["Location"]
    assert guest.get(form).status_code == 200
    assert guest.post(form, {"new_password1": "curta", "new_password2": "curta"}).status_code == 200
    new = {"new_password1": "outra-senha-longa", "new_password2": "outra-senha-longa"}
    assert guest.post(form, new)["Location"] == "/agent/login"
    assert again(user).check_password("outra-senha-longa")
    assert signed_in.get("/agent/account").status_code == 302
    assert "password_reset" in kinds(business)
    # Once, and only with its token.
    for wrong in (link[1], "/agent/reset/MQ/abc-def", "/agent/reset/%C3%A7/x"):
        page = Client().get(wrong, follow=True)
        assert page.status_code == 200
        assert "link is not good" in page.content.decode()


def test_the_reset_page_tells_nothing_of_who_has_an_account(bia: Membership, worker: Any, member: Member):
    with_password(bia, "bia@example.com")
    gone = member("Lia")
    with_password(gone, "lia@example.com")
    Membership.objects.filter(pk=gone.pk).update(left_at=timezone.now())
    pages = set()
    for email in ("bia@example.com", "ninguem@example.com", "lia@example.com"):
        answer = Client().post("/agent/reset", {"email": email})
        assert answer.status_code == 200
        pages.add(answer.content)
    assert len(pages) == 1
    assert [letter.to for letter in mail.outbox] == [["bia@example.com"]]
    assert len(worker) == 3


def test_a_link_is_not_sent_twice_while_one_is_on_its_way(bia: Membership, db: None):
    from procrastinate.contrib.django.models import ProcrastinateJob

    with_password(bia, "bia@example.com")
    for email in ("bia@example.com", "Bia@example.com"):
        assert Client().post("/agent/reset", {"email": email}).status_code == 200
    assert ProcrastinateJob.objects.filter(task_name__endswith="send_link").count() == 1


# ── the doors ──


def test_too_many_wrong_passwords_pause_the_desk_in_its_own_look(bia: Membership):
    with_password(bia)
    client = Client()
    answers = [client.post("/agent/login", {"username": "bia", "password": "errada"}) for _ in range(7)]
    assert answers[-1].status_code == 429
    assert int(answers[-1]["Retry-After"]) > 0
    page = answers[-1].content.decode()
    assert "desk/desk" in page
    assert "/agent/login" in page
    assert "/admin/" not in page
    assert client.post("/agent/login", {"username": "bia", "password": PASSWORD}).status_code == 429


# ── the audit log ──


def test_the_log_is_narrowed_and_paged(ada: Membership, bia: Membership, at_desk: Desk, business: Business):
    client = at_desk(ada)
    client.post(f"/agent/members/{bia.pk}", {"role": "viewer", "capacity": "6"})
    page = client.get("/agent/audit").content.decode()
    assert "Role changed" in page
    assert "Agent → Viewer" in page
    assert "Role changed</td>" not in client.get("/agent/audit?kind=signed_in").content.decode()
    assert "Bia</b>" not in client.get("/agent/audit?kind=signed_in").content.decode()
    assert "Bia</b>" in client.get(f"/agent/audit?who={ada.user_id}&kind=role_changed").content.decode()
    today = timezone.now().astimezone(ZoneInfo(business.timezone)).date()
    assert "Bia</b>" in client.get(f"/agent/audit?on={today}").content.decode()
    assert "Bia</b>" not in client.get(f"/agent/audit?on={today - timedelta(days=2)}").content.decode()
    for wrong in ("kind=dance", "who=x", "on=gestern", "on=9999-12-31", "before=x", "before=" + "9" * 40):
        assert client.get(f"/agent/audit?{wrong}").status_code == 200
    AuditEntry.objects.bulk_create(
        AuditEntry(business=business, user=ada.user, kind="invited", subject=f"n{number}") for number in range(60)
    )
    first = client.get("/agent/audit").content.decode()
    assert "n59" in first
    assert "n5<" not in first
    older = re.search(r'href="(\?[^"]*before=\d+)"', first)
    assert older
    assert "n5<" in client.get("/agent/audit" + older[1].replace("&amp;", "&")).content.decode()


def test_the_log_is_part_of_the_deed(ada: Membership, bia: Membership, at_desk: Desk, monkeypatch: pytest.MonkeyPatch):
    client = at_desk(ada)

    def full(**_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(AuditEntry.objects, "create", full)
    with pytest.raises(RuntimeError):
        client.post(f"/agent/members/{bia.pk}", {"role": "viewer", "capacity": "6"})
    assert again(bia).role == Role.AGENT


def test_users_who_work_nowhere_leave_no_trace(db: None):
    stranger = get_user_model().objects.create_user("kunde", "kunde@example.com", PASSWORD)
    Client().force_login(stranger)
    assert not AuditEntry.objects.exists()
