"""Inboxes and API keys in the admin."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from asgiref.sync import async_to_sync
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import ForeignKey, QuerySet
from django.forms import ModelChoiceField, ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import display

from prosa import conf
from prosa.business.pages import register
from prosa.channels import base
from prosa.channels.forms import InboxForm, field_name, forget_name, form_for
from prosa.channels.models import ApiKey, Inbox
from prosa.contracts import Finding
from prosa.errors import ConfigurationError, ProsaError
from prosa.http import Client

CHECK_SECONDS = 20.0
API = "/api/v1/messages"
log = logging.getLogger(__name__)


def root(request: HttpRequest) -> str:
    """Where the world reaches this server: ``PROSA_PUBLIC_URL``, else the host this page was asked for."""
    return conf.settings().public_url or request.build_absolute_uri(f"{_mounted()}/").rstrip("/")


def _mounted() -> str:
    """The path below which a host project includes ``prosa.urls``; empty at the root."""
    try:
        return reverse("prosa-webhook").removesuffix("/webhook")
    except NoReverseMatch:  # the door alone is mounted
        return ""


def address(inbox: Inbox, request: HttpRequest) -> str:
    """What to paste at the provider; for the API, where its callers post."""
    return root(request) + (API if inbox.kind == "rest" else f"/webhook/{inbox.kind}/{inbox.slug}/")


def try_credentials(inbox: Inbox) -> list[Finding]:
    """Ask the provider whether the saved credentials work, within :data:`CHECK_SECONDS`; every failure is a finding."""
    provider = base.registered().get(inbox.kind)
    if provider is None:
        return [
            Finding(
                "error",
                inbox.kind,
                gettext("No channel of this kind is installed."),
                gettext("Install its package or delete the inbox."),
            )
        ]
    config = inbox.config()

    async def ask() -> list[Finding]:
        async with asyncio.timeout(CHECK_SECONDS), Client() as client:
            return list(await provider.check(client, config))

    try:
        found = async_to_sync(ask)()
    except TimeoutError:
        return [
            Finding(
                "error",
                provider.label,
                gettext("The provider did not answer in time."),
                gettext("Check this server's connection and try again."),
            )
        ]
    except (ProsaError, ConfigurationError) as error:
        said, _newline, fix = str(error).partition("\n")
        return [Finding("error", provider.label, said, fix)]
    return found or [Finding("info", provider.label, gettext("This kind of inbox has no credentials to test."))]


@register(Inbox)
class InboxAdmin(ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """One way in: what to paste at the provider, and what the provider gave."""

    form = InboxForm
    list_display = ("name", "business", "shown_kind", "shown_state", "routing_key", "is_default")
    list_filter = ("business", "active")
    list_select_related = ("business",)
    search_fields = ("name", "slug", "routing_key")
    prepopulated_fields = {"slug": ("name",)}
    change_form_outer_before_template = "prosa/admin/inbox_panel.html"
    warn_unsaved_form = True

    class Media:
        js = ("prosa/copy.js",)

    # ── the form ──

    def get_fieldsets(self, request: HttpRequest, obj: Inbox | None = None) -> list[tuple[Any, dict[str, Any]]]:
        """Common fields, then what the provider declares."""
        provider = self._provider(request, obj)
        names = []
        for credential in provider.credentials if provider else ():
            names.append(field_name(credential))
            if credential.secret and not credential.required and obj and (obj.credentials or {}).get(credential.name):
                names.append(forget_name(credential))
        token = ("verify_token",) if names and provider and provider.webhooks else ()
        common: tuple[Any, dict[str, Any]] = (
            None,
            {"fields": ("business", ("name", "slug"), "team", ("active", "is_default"), *token)},
        )
        return [common, (_("Credentials"), {"fields": names})] if names else [common]

    def get_form(
        self,
        request: HttpRequest,
        obj: Inbox | None = None,
        change: bool = False,  # noqa: FBT001, FBT002 -- Django's signature
        **kwargs: Any,
    ) -> type[ModelForm[Inbox]]:
        """The form of this inbox's kind."""
        made: type[ModelForm[Inbox]] = super().get_form(
            request, obj, change, form=form_for(self._provider(request, obj)), **kwargs
        )
        return made

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """First the kind, then the form that kind needs."""
        if self._provider(request, None) is None:
            if not self.has_add_permission(request):
                raise PermissionDenied
            context = {
                **self.admin_site.each_context(request),
                "title": _("What kind of inbox?"),
                "opts": self.opts,
                "providers": sorted(base.registered().values(), key=lambda one: one.label),
            }
            return TemplateResponse(request, "prosa/admin/inbox_kinds.html", context)
        response: HttpResponse = super().add_view(request, form_url, extra_context)
        return response

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The form, and above it the webhook's address, the state and the test."""
        inbox = self.get_object(request, object_id)
        if inbox is not None:
            extra_context = {
                **(extra_context or {}),
                "inbox": inbox,
                "webhook_url": address(inbox, request),
                "is_api": inbox.kind == "rest",
                "kind_label": self.shown_kind(inbox),
            }
        response: HttpResponse = super().change_view(request, object_id, form_url, extra_context)
        return response

    def _provider(self, request: HttpRequest, obj: Inbox | None) -> base.Provider | None:
        return base.registered().get(obj.kind if obj else request.GET.get("kind", ""))

    # ── the test ──

    def get_urls(self) -> list[URLPattern]:
        """Adds the credentials test."""
        own = path("<int:inbox_id>/test/", self.admin_site.admin_view(self.test_view), name="prosa_channels_inbox_test")
        return [own, *super().get_urls()]

    def test_view(self, request: HttpRequest, inbox_id: int) -> HttpResponse:
        """Test the saved credentials; the findings as a fragment for htmx, else as a page. Success clears the trouble."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        inbox = self.get_object(request, str(inbox_id))
        if inbox is None or not self.has_change_permission(request, inbox):
            raise PermissionDenied
        findings = try_credentials(inbox)
        if inbox.trouble and not any(finding.level == "error" for finding in findings):
            Inbox.objects.filter(pk=inbox.pk).update(trouble="", trouble_at=None)
        context = {"findings": findings, "inbox": inbox}
        if request.headers.get("HX-Request"):
            return TemplateResponse(request, "prosa/admin/findings.html", context)
        page = {**self.admin_site.each_context(request), **context, "title": inbox.name, "opts": self.opts}
        return TemplateResponse(request, "prosa/admin/findings_page.html", page)

    # ── the list ──

    def has_delete_permission(self, request: HttpRequest, obj: Inbox | None = None) -> bool:
        """Only an inbox nobody has written to; otherwise turn it off."""
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and obj is not None and not obj.conversations.exists()

    @admin.display(description=_("kind"), ordering="kind")
    def shown_kind(self, inbox: Inbox) -> str:
        """The provider's own name."""
        provider = base.registered().get(inbox.kind)
        return gettext(provider.label) if provider else inbox.kind

    @display(description=_("state"), label={"trouble": "danger", "off": "warning", "on": "success"})  # type: ignore[untyped-decorator]
    def shown_state(self, inbox: Inbox) -> tuple[str, str]:
        """Trouble before everything else."""
        if inbox.trouble:
            return "trouble", str(_("cannot send"))
        return ("on", str(_("on"))) if inbox.active else ("off", str(_("off")))


@register(ApiKey)
class ApiKeyAdmin(ModelAdmin):  # type: ignore[misc]  # unfold is untyped
    """Keys of the REST API: issued, shown once, revoked; never changed."""

    list_display = ("name", "inbox", "shown_prefix", "created_at", "shown_state")
    list_select_related = ("inbox",)
    search_fields = ("name", "prefix")
    fields = ("inbox", "name")
    actions = ("revoke",)
    ordering = ("-id",)

    class Media:
        js = ("prosa/copy.js",)

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """The list may be acted on; a key itself does not change."""
        allowed: bool = super().has_change_permission(request, obj)
        return allowed and obj is None

    def has_delete_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        """Revoked keys stay visible."""
        return False

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField[Any] | None:
        """Keys open REST inboxes."""
        if db_field.name == "inbox":
            kwargs["queryset"] = Inbox.objects.filter(kind="rest")
        field: ModelChoiceField[Any] | None = super().formfield_for_foreignkey(db_field, request, **kwargs)
        return field

    def save_model(self, request: HttpRequest, obj: ApiKey, form: ModelForm[ApiKey], change: bool) -> None:  # noqa: FBT001 -- Django's signature
        """Issue the key; it lives on this request only, until the answer is written."""
        issued, key = ApiKey.issue(obj.inbox, obj.name)
        obj.pk, obj.prefix, obj.digest = issued.pk, issued.prefix, issued.digest
        request.issued_key = key  # type: ignore[attr-defined]  # for response_add alone

    def response_add(self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        """Show the key, once, in a page nothing stores."""
        context = {
            **self.admin_site.each_context(request),
            "title": _("API key issued"),
            "opts": self.opts,
            "media": self.media,
            "issued": obj,
            "key": request.issued_key,  # type: ignore[attr-defined]
            "list_url": reverse("admin:prosa_channels_apikey_changelist"),
            "endpoint": root(request) + API,
        }
        return TemplateResponse(request, "prosa/admin/key_issued.html", context, headers={"Cache-Control": "no-store"})

    @admin.action(description=_("Revoke"), permissions=["change"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        """They open nothing from now on."""
        for key in (good := keys.filter(revoked_at=None)):
            self.log_change(request, key, [{"changed": {"fields": ["revoked"]}}])
        count = good.update(revoked_at=timezone.now())
        self.message_user(request, ngettext("%d key revoked.", "%d keys revoked.", count) % count)

    @admin.display(description=_("begins with"))
    def shown_prefix(self, key: ApiKey) -> str:
        """Enough to recognise it."""
        return f"{key.prefix}…"

    @display(description=_("state"), label={True: "success", False: "danger"})  # type: ignore[untyped-decorator]
    def shown_state(self, key: ApiKey) -> tuple[bool, str]:
        """Valid or not."""
        return key.revoked_at is None, str(_("valid") if key.revoked_at is None else _("revoked"))
