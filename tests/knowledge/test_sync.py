"""Synchronising sources: only what changed is read again, what vanished is forgotten, and a kill loses nothing."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.core.files.base import ContentFile
from django.db import connection
from django.utils import timezone

from prosa import conf
from prosa.business.models import Business
from prosa.errors import BadInput
from prosa.http import Client
from prosa.knowledge import index, origins, reading, runs, sync
from prosa.knowledge.models import Chunk, Document, Item, Source
from prosa.testing import StubServer

pytestmark = pytest.mark.django_db(transaction=True)

FILES = Path(__file__).parent / "files"
Status = Source.Status


@pytest.fixture
def business() -> Business:
    with connection.cursor() as cursor:
        cursor.execute("delete from procrastinate_jobs")
    return Business.objects.create(name="Shop", slug="shop")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    known = conf.settings().model_copy(update={"knowledge_dir": str(tmp_path)})
    monkeypatch.setattr(origins, "settings", lambda: known)
    made = tmp_path / "shop"
    made.mkdir()
    return made


@pytest.fixture
async def server():
    async with StubServer() as running:
        yield running


def pages(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.md").write_text(f"# {name}\n\n{text}\n", "utf-8")


def source(business: Business, kind: str = "folder", **more: object) -> Source:
    config = more.pop("config", {"path": "shop"})
    return Source.objects.create(business=business, kind=kind, name=more.pop("name", kind), config=config, **more)


async def synchronised(of: Source, *, seconds: float | None = None, allow: tuple[str, ...] = ()) -> Source:
    await sync_to_async(sync.request)(of.pk)
    return await worked(of, seconds=seconds, allow=allow)


async def worked(of: Source, *, seconds: float | None = None, allow: tuple[str, ...] = ()) -> Source:
    async with Client(allow=allow) as client:
        assert await sync.run(of.pk, client, seconds=seconds)
    return await Source.objects.aget(pk=of.pk)


def counts(of: Source) -> tuple[int, int, int, int, int]:
    return of.added, of.changed, of.unchanged, of.forgotten, of.failed


def jobs() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from procrastinate_jobs where task_name = %s and status = 'todo'",
            [f"{sync.__name__}.synchronise"],
        )
        return int(cursor.fetchone()[0])


def titles(of: Source) -> set[str]:
    return set(Document.objects.filter(source=of).values_list("title", flat=True))


# ── what is read ──


async def test_every_kind_of_file_becomes_documents_with_their_language(business: Business, folder: Path):
    for path in FILES.iterdir():
        shutil.copy(path, folder)
    (folder / "precos.csv").write_text("produto;preço\ncamiseta azul;R$ 59,90\n", "cp1252")
    (folder / "cambios.html").write_text("<title>Cambios</title><p>Los cambios se aceptan hasta 30 días.</p>")
    (folder / "hours.txt").write_text("The shop opens every day from nine to five, on Sundays too.")
    pages(folder, troca="A troca pode ser pedida em até 30 dias depois da entrega.")
    (folder / "foto.png").write_bytes(b"\x89PNG")
    (folder / ".hidden.md").write_text("# segredo")
    made = await synchronised(await sync_to_async(source)(business))
    assert (made.status, counts(made), made.error) == (Status.DONE, (7, 0, 0, 0, 1), "")
    assert (made.done, made.total) == (8, 8)
    found = {each.item.key: each async for each in Document.objects.select_related("item")}
    assert set(found) == {
        "entrega.pdf", "garantia.docx", "horario.pdf", "precos.csv", "cambios.html", "hours.txt", "troca.md",
    }  # fmt: skip
    spoken = {key: found[key].language for key in ("entrega.pdf", "cambios.html", "hours.txt", "troca.md")}
    assert spoken == {"entrega.pdf": "pt", "cambios.html": "es", "hours.txt": "en", "troca.md": "pt"}
    assert await Chunk.objects.filter(document__source=made, language="pt").acount() > 3
    broken = await Item.objects.exclude(error="").aget()
    assert (broken.key, broken.passing, broken.document_id) == ("sem_texto.pdf", False, None)
    assert "only pictures of pages" in broken.error


async def test_an_upload_and_a_pasted_text(business: Business):
    def given() -> tuple[Source, Source]:
        upload = source(business, "upload", config={"filename": "Tabela de preços.csv"})
        upload.file.save("../../evil.csv", ContentFile("produto;preço\ncamiseta;59,90\n".encode()))
        return upload, source(
            business, "text", name="Férias", config={"text": "Fechamos em janeiro, durante as férias."}
        )

    upload, text = await sync_to_async(given)()
    assert upload.file.name.startswith(f"knowledge/{business.pk}/")
    assert upload.file.name.endswith(".csv")
    for each in (upload, text):
        done = await synchronised(each)
        assert (done.status, counts(done)) == (Status.DONE, (1, 0, 0, 0, 0))
    assert await sync_to_async(titles)(upload) == {"Tabela de preços"}
    assert await sync_to_async(titles)(text) == {"Férias"}
    stored = upload.file.storage
    await sync_to_async(upload.delete)()
    assert not stored.exists(upload.file.name)
    assert await Document.objects.acount() == 1


async def test_a_source_that_has_nothing_to_give_says_so(business: Business, folder: Path):
    cases = {
        "upload": ({}, "has no file"),
        "text": ({"text": " "}, "has no text"),
        "url": ({}, "has no address"),
        "folder": ({"path": "nowhere"}, "is no folder"),
        "carrier-pigeon": ({}, "not known here"),
    }
    for kind, (config, said) in cases.items():
        made = await synchronised(await sync_to_async(source)(business, kind, config=config))
        assert made.status == Status.FAILED
        assert said in made.error
        assert "\n" in made.error


# ── only what changed ──


async def test_an_unchanged_run_parses_and_writes_nothing(
    business: Business, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    pages(folder, **{f"p{number}": f"Página {number} sobre o frete." for number in range(12)})
    shutil.copy(FILES / "sem_texto.pdf", folder)
    made = await synchronised(await sync_to_async(source)(business))
    before = [each async for each in Chunk.objects.order_by("pk").values_list("pk", "document__updated_at")]

    async def parse(*_: object) -> None:
        raise AssertionError("parsed")

    monkeypatch.setattr(reading.Reader, "_ask", parse)
    made = await synchronised(made)
    assert counts(made) == (0, 0, 12, 0, 1)  # and the broken one is still shown
    assert [each async for each in Chunk.objects.order_by("pk").values_list("pk", "document__updated_at")] == before


async def test_a_changed_page_alone_is_cut_again_and_a_vanished_one_is_forgotten(business: Business, folder: Path):
    pages(folder, frete="O frete custa R$ 10.", troca="A troca leva sete dias.", loja="A loja abre cedo.")
    made = await synchronised(await sync_to_async(source)(business))
    by_key = {each.key: each.document_id async for each in Item.objects.all()}
    others = Chunk.objects.exclude(document_id=by_key["frete.md"])
    kept = {each async for each in others.values_list("pk", flat=True)}
    pages(folder, frete="O frete custa R$ 12.", novo="Agora também vendemos livros.")
    (folder / "loja.md").unlink()
    made = await synchronised(made)
    assert counts(made) == (1, 1, 1, 1, 0)
    assert {each.key async for each in Item.objects.all()} == {"frete.md", "troca.md", "novo.md"}
    assert await sync_to_async(titles)(made) == {"frete", "troca", "novo"}
    text = await Chunk.objects.aget(document_id=by_key["frete.md"])
    assert "R$ 12" in text.text
    assert text.pk not in kept
    assert await Chunk.objects.filter(pk__in=kept, document_id=by_key["troca.md"]).acount() == 1


async def test_a_file_that_breaks_keeps_what_was_known_and_says_so(business: Business, folder: Path):
    shutil.copy(FILES / "entrega.pdf", folder / "a.pdf")
    pages(folder, b="A troca leva sete dias.")
    made = await synchronised(await sync_to_async(source)(business))
    (folder / "a.pdf").write_bytes(b"%PDF-1.7 broken")
    made = await synchronised(made)
    assert (made.status, counts(made)) == (Status.DONE, (0, 0, 1, 0, 1))
    item = await Item.objects.aget(key="a.pdf")
    assert item.error
    assert item.document_id
    shutil.copy(FILES / "entrega.pdf", folder / "a.pdf")
    made = await synchronised(made)
    assert counts(made) == (0, 0, 2, 0, 0)
    assert await Item.objects.exclude(error="").acount() == 0


async def test_a_file_that_could_not_be_opened_for_a_while_is_well_again(
    business: Business, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    pages(folder, frete="O frete custa R$ 10.")
    made = await synchronised(await sync_to_async(source)(business))
    with monkeypatch.context() as locked:

        async def refused(*_: object) -> None:
            raise BadInput("frete.md cannot be opened: Permission denied.\nCheck its permissions.")

        locked.setattr(origins.Folder, "fetch", refused)
        made = await synchronised(made)
        assert (made.status, counts(made)) == (Status.FAILED, (0, 0, 0, 0, 1))
        assert await Document.objects.acount() == 1
    made = await synchronised(made)
    assert (made.status, made.error, counts(made)) == (Status.DONE, "", (0, 0, 1, 0, 0))
    assert await Item.objects.exclude(error="").acount() == 0


async def test_a_folder_that_cannot_be_listed_forgets_nothing(business: Business, folder: Path):
    pages(folder, frete="O frete custa R$ 10.")
    made = await synchronised(await sync_to_async(source)(business))
    shutil.move(folder, folder.with_name("away"))
    made = await synchronised(made)
    assert made.status == Status.FAILED
    assert await Document.objects.acount() == 1
    shutil.move(folder.with_name("away"), folder)
    made = await synchronised(made)
    assert (made.status, made.error, counts(made)) == (Status.DONE, "", (0, 0, 1, 0, 0))


async def test_only_the_items_asked_for_are_read_again(business: Business, folder: Path):
    pages(folder, frete="O frete custa R$ 10.", troca="A troca leva sete dias.")
    made = await synchronised(await sync_to_async(source)(business))
    pages(folder, frete="O frete custa R$ 12.", troca="A troca leva nove dias.")
    await sync_to_async(sync.refresh)(made.pk, ["troca.md"])
    assert await sync_to_async(jobs)() == 1
    again = await worked(made)
    assert (again.status, again.run, counts(again)) == (Status.DONE, made.run, counts(made))
    texts = " ".join([each async for each in Chunk.objects.values_list("text", flat=True)])
    assert "nove dias" in texts
    assert "R$ 10" in texts
    (folder / "troca.md").unlink()
    await sync_to_async(sync.refresh)(made.pk, ["troca.md"])
    await worked(made)
    assert await sync_to_async(titles)(made) == {"frete"}


async def test_an_item_asked_for_while_it_is_read_is_read_once_more(
    business: Business, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    pages(folder, frete="O frete custa R$ 10.")
    made = await sync_to_async(source)(business)
    fetch, read = origins.Folder.fetch, []

    async def change_after(self: origins.Folder, item: Item) -> origins.Raw | None:
        raw = await fetch(self, item)
        read.append(item.key)
        if len(read) == 1:
            pages(folder, frete="O frete custa R$ 12.")
            await sync_to_async(sync.refresh)(made.pk, [item.key])
        return raw

    monkeypatch.setattr(origins.Folder, "fetch", change_after)
    await synchronised(made)
    assert read == ["frete.md", "frete.md"]
    assert "R$ 12" in (await Chunk.objects.aget()).text


# ── the web ──

HTML = {"Content-Type": "text/html", "ETag": '"one"', "Last-Modified": "Mon, 03 Feb 2025 10:00:00 GMT"}
XML = {"Content-Type": "application/xml"}


def urlset(*urls: str) -> bytes:
    return f"<urlset>{''.join(f'<url><loc>{url}</loc></url>' for url in urls)}</urlset>".encode()


async def test_pages_are_asked_for_by_what_is_known_and_troubled_ones_are_not_forgotten(
    business: Business, server: StubServer
):
    one, two, three = (f"{server.url}/{name}" for name in ("um", "dois", "tres"))
    made = await sync_to_async(source)(business, "sitemap", config={"url": f"{server.url}/sitemap.xml"})
    server.answers(404).answers(200, urlset(one, two, three), XML)
    for text in ("O frete custa R$ 10.", "A troca leva sete dias.", "A loja abre cedo."):
        server.answers(200, f"<title>{text}</title><p>{text}".encode(), HTML)
    made = await synchronised(made, allow=(server.url,))
    assert counts(made) == (3, 0, 0, 0, 0)
    assert (await Document.objects.aget(title="A loja abre cedo.")).dated_at == datetime(2025, 2, 3, 10, tzinfo=UTC)
    # as it was; in trouble for now; gone for good
    server.answers(404).answers(200, urlset(one, two, three), XML).answers(304).answers(503).answers(404)
    made = await synchronised(made, allow=(server.url,))
    assert counts(made) == (0, 0, 1, 1, 2)
    assert [each.headers.get("if-none-match") for each in server.requests[-3:]] == ['"one"'] * 3
    assert await sync_to_async(titles)(made) == {"O frete custa R$ 10.", "A troca leva sete dias."}
    missed = {each.key: (each.passing, each.document_id is None) async for each in Item.objects.exclude(error="")}
    assert missed == {two: (True, False), three: (False, True)}
    # the site is unreachable: nothing is forgotten
    server.answers(404).answers(502)
    made = await synchronised(made, allow=(server.url,))
    assert (made.status, "502" in made.error) == (Status.FAILED, True)
    assert await Document.objects.acount() == 2
    # a page that is not listed any more is
    server.answers(404).answers(200, urlset(one), XML).answers(304)
    made = await synchronised(made, allow=(server.url,))
    assert (made.status, counts(made)) == (Status.DONE, (0, 0, 1, 1, 0))


async def test_one_page_that_leads_nowhere_does_not_stop_a_site(business: Business, server: StubServer):
    one, two = f"{server.url}/um", f"{server.url}/dois"
    made = await sync_to_async(source)(business, "sitemap", config={"url": f"{server.url}/sitemap.xml"})
    server.answers(404).answers(200, urlset(one, two), XML)
    server.answers(302, b"", {"Location": "http://[::1"}).answers(200, b"<p>A troca leva sete dias.", HTML)
    made = await synchronised(made, allow=(server.url,))
    assert (made.status, counts(made)) == (Status.DONE, (1, 0, 0, 0, 1))


async def test_robots_txt_is_obeyed_also_afterwards(business: Business, server: StubServer):
    made = await sync_to_async(source)(business, "url", config={"url": f"{server.url}/trocas"})
    server.answers(404).answers(200, b"<p>A troca leva sete dias.", HTML)
    made = await synchronised(made, allow=(server.url,))
    assert counts(made) == (1, 0, 0, 0, 0)
    server.answers(200, b"User-agent: *\nDisallow: /")
    made = await synchronised(made, allow=(server.url,))
    assert (made.status, "robots.txt" in made.error, counts(made)) == (Status.FAILED, True, (0, 0, 0, 1, 1))
    assert await Document.objects.acount() == 0


async def test_addresses_inside_the_house_are_refused(business: Business, server: StubServer):
    made = await synchronised(await sync_to_async(source)(business, "url", config={"url": f"{server.url}/admin"}))
    assert made.status == Status.FAILED
    assert server.requests == []


# ── folders ──


async def test_folders_stay_below_the_one_allowed(
    business: Business, folder: Path, tmp_path_factory: pytest.TempPathFactory
):
    outside = tmp_path_factory.mktemp("outside")
    pages(outside, segredo="A senha é 1234.")
    for number, path in enumerate((str(outside), "../" * 9 + str(outside), "/etc")):
        made = await synchronised(await sync_to_async(source)(business, name=f"{number}", config={"path": path}))
        assert (made.status, "is not below" in made.error) == (Status.FAILED, True)
    (folder / "link.md").symlink_to(outside / "segredo.md")
    (folder / "door").symlink_to(outside)
    made = await synchronised(await sync_to_async(source)(business))
    assert "link" in made.error
    assert await Document.objects.acount() == 0
    named = await sync_to_async(source)(business, name="named", config={"path": str(outside)}, allowed=str(outside))
    assert counts(await synchronised(named)) == (1, 0, 0, 0, 0)


# ── limits ──


async def test_a_document_has_so_much_time_and_memory_and_the_next_is_read(monkeypatch: pytest.MonkeyPatch):
    async with reading.Reader(longest_s=0.001) as reader:
        with pytest.raises(origins.TooLarge, match="takes longer"):
            await reader.read(b"# a", "a.md")
        reader.longest_s = 60
        assert (await reader.read(b"# Loja\n\nA loja abre cedo.", "a.md")).title == "Loja"
    async with reading.Reader(memory=150 * 1024**2) as reader:
        with pytest.raises(origins.TooLarge, match="more memory"):
            await reader.read(b"<p>" * 8_000_000, "a.html")
        assert (await reader.read(b"# Loja\n\nA loja abre cedo.", "a.md")).title == "Loja"


def test_a_single_document_has_limits_too():
    assert reading.text(b"# Loja\n\nA loja abre cedo.", "a.md").endswith("A loja abre cedo.")
    with pytest.raises(BadInput, match="has no text"):
        reading.text(b"<p> ", "a.html")
    with pytest.raises(origins.TooLarge, match="takes longer"):
        reading.text(b"# a", "a.md", longest_s=0.001)
    with pytest.raises(origins.TooLarge, match="more memory"):
        reading.text(b"<p>" * 8_000_000, "a.html", memory=150 * 1024**2)


# ── durable ──


async def test_a_run_cut_off_anywhere_goes_on_and_does_nothing_twice(
    business: Business, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(runs, "BATCH", 3)
    pages(folder, **{f"p{number}": f"Página {number} sobre o frete." for number in range(10)})
    made = await sync_to_async(source)(business)
    fetch, read = origins.Folder.fetch, []

    async def die_at_five(self: origins.Folder, item: Item) -> origins.Raw | None:
        read.append(item.key)
        if len(read) == 5:
            raise asyncio.CancelledError  # no handler of ours comes to its end in between
        return await fetch(self, item)

    monkeypatch.setattr(origins.Folder, "fetch", die_at_five)
    with pytest.raises(asyncio.CancelledError):
        await synchronised(made)
    cut = await Source.objects.aget(pk=made.pk)
    assert (cut.status, cut.done, cut.added) == (Status.RUNNING, 3, 3)
    assert not await sync_to_async(runs.busy)(made.pk)
    await sync_to_async(sync.look_after)()
    assert await sync_to_async(jobs)() == 1
    whole = await worked(made)
    assert (whole.status, whole.run, counts(whole)) == (Status.DONE, 1, (10, 0, 0, 0, 0))
    assert len(set(read)) == 10
    assert len(read) == 12  # only what was not committed was read again
    assert await Document.objects.acount() == 10


async def test_a_slice_ends_and_the_next_goes_on(business: Business, folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sync, "TOLD_EVERY", 0.0)
    pages(folder, **{f"p{number}": f"Página {number} sobre o frete." for number in range(4)})
    made = await synchronised(await sync_to_async(source)(business), seconds=0.0001)
    assert (made.status, made.done) == (Status.RUNNING, 1)
    assert await sync_to_async(jobs)() == 1
    made = await worked(made)
    assert (made.status, counts(made)) == (Status.DONE, (4, 0, 0, 0, 0))


async def test_one_process_at_a_time_and_a_second_request_is_remembered(
    business: Business, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    pages(folder, frete="O frete custa R$ 10.")
    made = await sync_to_async(source)(business)
    reached, go = asyncio.Event(), asyncio.Event()
    fetch = origins.Folder.fetch

    async def wait(self: origins.Folder, item: Item) -> origins.Raw | None:
        reached.set()
        await go.wait()
        return await fetch(self, item)

    monkeypatch.setattr(origins.Folder, "fetch", wait)
    first = asyncio.create_task(synchronised(made))
    await asyncio.wait_for(reached.wait(), 60)
    assert await sync_to_async(runs.busy)(made.pk)
    async with Client() as client:
        assert await sync.run(made.pk, client) is False
    await sync_to_async(sync.request)(made.pk)
    await sync_to_async(sync.request)(made.pk)
    go.set()
    assert (await first).status == Status.WAITING
    second = await worked(made)
    assert (second.status, second.run, counts(second)) == (Status.DONE, 2, (0, 0, 1, 0, 0))
    assert (await worked(made)).run == 2  # nothing is asked for any more


async def test_a_run_that_is_stopped_keeps_what_it_read_and_forgets_nothing(
    business: Business, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(runs, "BATCH", 3)
    pages(folder, **{f"p{number}": f"Página {number} sobre o frete." for number in range(8)})
    made = await synchronised(await sync_to_async(source)(business))
    pages(folder, **{f"p{number}": f"Página {number} sobre as trocas." for number in range(7)})
    (folder / "p7.md").unlink()
    fetch, read = origins.Folder.fetch, []

    async def stop_at_two(self: origins.Folder, item: Item) -> origins.Raw | None:
        read.append(item.key)
        if len(read) == 2:
            assert await sync_to_async(sync.stop)(made.pk)
        return await fetch(self, item)

    monkeypatch.setattr(origins.Folder, "fetch", stop_at_two)
    stopped = await synchronised(made)
    assert stopped.status == Status.STOPPED
    assert len(read) == 3, "the batch at hand was the last"
    assert await Document.objects.acount() == 8, "nothing is forgotten by half a run"
    assert not await sync_to_async(sync.stop)(made.pk)
    assert (await worked(made)).run == 2, "nothing goes on by itself"
    await sync_to_async(sync.look_after)()
    assert (await Source.objects.aget(pk=made.pk)).status == Status.STOPPED
    whole = await synchronised(made)
    assert (whole.status, whole.run, whole.done, whole.forgotten) == (Status.DONE, 3, 7, 1)
    assert await Document.objects.acount() == 7


async def test_a_request_outlives_the_failure_of_the_run_before_it(
    business: Business, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    pages(folder, frete="O frete custa R$ 10.")
    made = await sync_to_async(source)(business)

    async def stop_and_ask_again(_: origins.Folder) -> list[str]:
        assert await sync_to_async(sync.stop)(made.pk)
        await sync_to_async(sync.request)(made.pk)
        raise BadInput("The folder is away.\nBring it back.")

    with monkeypatch.context() as away:
        away.setattr(origins.Folder, "keys", stop_and_ask_again)
        assert (await synchronised(made)).status == Status.WAITING
    assert (await worked(made)).status == Status.DONE


async def test_a_source_deleted_meanwhile_ends_quietly(
    business: Business, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    pages(folder, frete="O frete custa R$ 10.")
    made = await sync_to_async(source)(business)
    fetch = origins.Folder.fetch

    async def delete(self: origins.Folder, item: Item) -> origins.Raw | None:
        await sync_to_async(Source.objects.filter(pk=made.pk).delete)()
        return await fetch(self, item)

    monkeypatch.setattr(origins.Folder, "fetch", delete)
    await sync_to_async(sync.request)(made.pk)
    async with Client() as client:
        assert await sync.run(made.pk, client)
    assert await Document.objects.acount() == 0


async def test_what_breaks_in_our_own_code_is_shown(business: Business, folder: Path, monkeypatch: pytest.MonkeyPatch):
    pages(folder, frete="O frete custa R$ 10.")
    made = await sync_to_async(source)(business)

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(index, "store", broken)
    with pytest.raises(ZeroDivisionError):
        await synchronised(made)
    made = await Source.objects.aget(pk=made.pk)
    assert (made.status, "ZeroDivisionError" in made.error) == (Status.FAILED, True)


# ── the clock ──


def test_the_clock_asks_for_what_is_due(business: Business):
    now = timezone.now()
    due = source(business, name="due", every_minutes=30, began_at=now - timedelta(minutes=31), status=Status.DONE)
    new = source(business, name="new", every_minutes=30)
    dated = source(business, "answers", name="answers", began_at=now - timedelta(minutes=61), status=Status.FAILED)
    source(business, name="fresh", every_minutes=30, began_at=now - timedelta(minutes=29), status=Status.DONE)
    source(business, name="off", every_minutes=30, active=False)
    source(business, name="by hand")
    sync.look_after()
    waiting = set(Source.objects.filter(status=Status.WAITING).values_list("pk", flat=True))
    assert waiting == {due.pk, new.pk, dated.pk}
    assert jobs() == 3
    sync.look_after()
    assert jobs() == 3
