"""The form of an inbox. Its credential fields are those the inbox's provider declares."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from prosa.channels.base import Credential, Provider
from prosa.channels.models import Inbox

SAVED = _("•••• saved")
KEEP = _("Leave empty to keep the saved one.")


class InboxForm(forms.ModelForm):  # type: ignore[type-arg]  # generic only to the type checker
    """An inbox of one known kind. Made for a provider by :func:`form_for`.

    A saved secret is never sent to the browser: an empty field keeps it, the tick beside it forgets it.
    """

    provider: ClassVar[Provider | None] = None
    declared: ClassVar[tuple[Credential, ...]] = ()

    class Meta:
        model = Inbox
        fields = ("business", "name", "slug", "active", "is_default", "team", "verify_token")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.provider:
            self.instance.kind = self.provider.kind
        saved = self.instance.credentials or {}
        for credential in self.declared:
            field, value = self.fields[field_name(credential)], str(saved.get(credential.name, ""))
            if not credential.secret:
                field.initial = value
            elif value:
                field.required = False
                field.widget.attrs["placeholder"] = SAVED
                field.help_text = f"{field.help_text} {KEEP}".strip()
            if credential.secret and (credential.required or not value):
                self.fields.pop(forget_name(credential), None)

    def clean(self) -> dict[str, Any]:
        """Fold the credential fields into ``instance.credentials`` and refuse what another inbox already is."""
        cleaned: dict[str, Any] = super().clean() or {}
        inbox = self.instance
        team = cleaned.get("team")
        if team is not None and team.business_id != getattr(cleaned.get("business"), "pk", inbox.business_id):
            self.add_error("team", _("This team is of another business. Choose one of this inbox's."))
        if self.provider:
            inbox.credentials = self._credentials(cleaned)
            inbox.routing_key = self.provider.routing_key(inbox.credentials)
        others = Inbox.objects.filter(kind=inbox.kind).exclude(pk=inbox.pk).select_related("business")
        if twin := others.filter(slug=cleaned.get("slug", "")).first():
            self.add_error(
                "slug", _("“%(inbox)s” of %(business)s already has this short name. Choose another.") % _names(twin)
            )
        if inbox.routing_key and (twin := others.filter(routing_key=inbox.routing_key).first()):
            self.add_error(
                None,
                _(
                    "“%(inbox)s” of %(business)s already receives the messages of %(key)s. One number belongs to one inbox: correct the number here, or delete the other inbox."
                )
                % {**_names(twin), "key": inbox.routing_key},
            )
        if cleaned.get("is_default") and (twin := others.filter(is_default=True).first()):
            self.add_error(
                "is_default",
                _("“%(inbox)s” of %(business)s answers there. Turn it off in that inbox first.") % _names(twin),
            )
        return cleaned

    def _credentials(self, cleaned: dict[str, Any]) -> dict[str, str]:
        kept = dict(self.instance.credentials or {})
        for credential in self.declared:
            given = cleaned.get(field_name(credential)) or ""
            if given or not credential.secret or cleaned.get(forget_name(credential)):
                kept[credential.name] = given
        return {name: value for name, value in kept.items() if value}


def _names(inbox: Inbox) -> dict[str, str]:
    return {"inbox": inbox.name, "business": inbox.business.name}


def field_name(credential: Credential) -> str:
    """The form field that holds a credential."""
    return f"credential_{credential.name}"


def forget_name(credential: Credential) -> str:
    """The tick that deletes a saved secret."""
    return f"forget_{credential.name}"


def form_for(provider: Provider | None) -> type[InboxForm]:
    """The form for inboxes of a provider; without one (its package is gone) only the common fields."""
    declared = provider.credentials if provider else ()
    fields: dict[str, Any] = {"provider": provider, "declared": declared, "Meta": InboxForm.Meta}
    for credential in declared:
        fields[field_name(credential)] = _field(credential)
        if credential.secret and not credential.required:
            fields[forget_name(credential)] = forms.BooleanField(
                label=_("Forget the saved %(credential)s") % {"credential": gettext(credential.label)},
                required=False,
                widget=UnfoldBooleanWidget(),
            )
    return type("InboxForm", (InboxForm,), fields)


def _field(credential: Credential) -> forms.CharField:
    attributes = {"autocomplete": "new-password" if credential.secret else "off", "spellcheck": "false"}
    widget = (
        UnfoldAdminPasswordWidget(attrs=attributes, render_value=False)
        if credential.secret
        else UnfoldAdminTextInputWidget(attrs=attributes)
    )
    help_text = gettext(credential.help) if credential.help else ""
    return forms.CharField(
        label=gettext(credential.label),
        required=credential.required,
        help_text=help_text,
        widget=widget,
        max_length=4000,
    )
