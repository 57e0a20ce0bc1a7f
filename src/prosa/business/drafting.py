"""The forms of a draft: the text, and a row for each conditional guideline."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanWidget,
)

from prosa.business.guidance import Rule

MOST_RULES = 200


class DraftForm(forms.Form):
    """The text; what it was begun from; and the note that a publication asks for."""

    text = forms.CharField(
        label=_("Guidelines"),
        required=False,
        strip=False,
        max_length=100_000,
        help_text=_("Persona, tone, rules, opening hours, policies."),
        widget=UnfoldAdminTextareaWidget(
            attrs={
                "class": "prosa-editor",
                "rows": 22,
                "data-count": _("{characters} characters · about {tokens} tokens"),
                "spellcheck": "true",
            }
        ),
    )
    note = forms.CharField(
        label=_("Note"),
        required=False,
        max_length=300,
        help_text=_("What changes, in a few words. It is kept with the version."),
        widget=UnfoldAdminTextInputWidget(),
    )
    revision = forms.IntegerField(min_value=0, widget=forms.HiddenInput)
    in_force = forms.IntegerField(min_value=0, widget=forms.HiddenInput)

    def clean_text(self) -> str:
        """Browsers send CRLF; what is compared and counted is LF."""
        text: str = self.cleaned_data["text"]
        return text.replace("\r\n", "\n").replace("\r", "\n")


class RuleForm(forms.Form):
    """One "when … then …"."""

    number = forms.IntegerField(required=False, min_value=1, widget=forms.HiddenInput)
    when = forms.CharField(
        label=_("When"),
        max_length=1000,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2, "class": "prosa-rule-text"}),
    )
    then = forms.CharField(
        label=_("Then"),
        max_length=2000,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2, "class": "prosa-rule-text"}),
    )
    active = forms.BooleanField(label=_("active"), required=False, initial=True, widget=UnfoldBooleanWidget())
    always = forms.BooleanField(
        label=_("always in the prompt"), required=False, initial=False, widget=UnfoldBooleanWidget()
    )
    priority = forms.IntegerField(
        label=_("priority"),
        min_value=0,
        max_value=100,
        initial=50,
        help_text=_("0 to 100; higher comes first."),
        widget=UnfoldAdminIntegerFieldWidget(),
    )
    begins = forms.DateField(
        label=_("valid from"),
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
    )
    ends = forms.DateField(
        label=_("valid until"),
        required=False,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
    )
    channels = forms.MultipleChoiceField(
        label=_("only on"),
        required=False,
        help_text=_("None ticked: on every channel."),
        widget=forms.CheckboxSelectMultiple,
    )
    specialists = forms.MultipleChoiceField(
        label=_("only as"),
        required=False,
        help_text=_("None ticked: whichever specialist answers."),
        widget=forms.CheckboxSelectMultiple,
    )
    calls = forms.BooleanField(label=_("call a person"), required=False, initial=False, widget=UnfoldBooleanWidget())
    team = forms.ChoiceField(
        label=_("of the team"),
        required=False,
        help_text=_("Of whom a person is called. None: whoever answers in this inbox."),
        widget=UnfoldAdminSelectWidget(),
    )
    words = forms.CharField(
        label=_("for certain when the customer writes"),
        required=False,
        max_length=1000,
        help_text=_(
            "Words separated by semicolons: complaint; sue you. Then a person is called whatever the assistant answers. Empty: the assistant judges by “when”."
        ),
        widget=UnfoldAdminTextInputWidget(),
    )
    excludes = forms.CharField(
        label=_("leaves out rules"),
        required=False,
        max_length=200,
        help_text=_("Numbers of rules that do not apply together with this one, separated by commas."),
        widget=UnfoldAdminTextInputWidget(),
    )

    def __init__(
        self,
        *args: Any,
        channels: Sequence[tuple[str, str]] = (),
        specialists: Sequence[tuple[str, str]] = (),
        teams: Sequence[tuple[str, str]] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["channels"].choices = channels  # type: ignore[attr-defined]  # a MultipleChoiceField
        self.fields["specialists"].choices = specialists  # type: ignore[attr-defined]  # a MultipleChoiceField
        self.fields["team"].choices = [("", "—"), *teams]  # type: ignore[attr-defined]  # a ChoiceField
        for name in ("begins", "ends"):  # what type="date" reads and sends, whatever the language
            self.fields[name].widget.format = "%Y-%m-%d"
            self.fields[name].localize = False

    def clean_excludes(self) -> tuple[int, ...]:
        """Numbers."""
        parts = re.split(r"[\s,;]+", self.cleaned_data["excludes"].strip())
        if any(part and not re.fullmatch(r"[0-9]{1,6}", part) for part in parts):
            raise forms.ValidationError(gettext("Write numbers of rules, separated by commas."))
        return tuple(dict.fromkeys(int(part) for part in parts if part))

    def clean_words(self) -> tuple[str, ...]:
        """Each as it was written, once."""
        parts = (" ".join(part.split()) for part in self.cleaned_data["words"].split(";"))
        return tuple(dict.fromkeys(filter(None, parts)))

    def clean(self) -> dict[str, Any]:
        """A team, or words by which it is certain, are there for calling somebody."""
        data: dict[str, Any] = super().clean() or {}
        if not data.get("calls") and (data.get("team") or data.get("words")):
            self.add_error("calls", gettext("Tick this too: without it nobody is called."))
        return data

    @staticmethod
    def shown(row: dict[str, Any]) -> dict[str, Any]:
        """A stored row as this form's initial values."""
        return {
            **row,
            "excludes": ", ".join(str(number) for number in row.get("excludes", ())),
            "words": "; ".join(row.get("words", ())),
        }


RuleForms = forms.formset_factory(
    RuleForm, extra=0, can_delete=True, max_num=MOST_RULES, validate_max=True, absolute_max=MOST_RULES + 1
)


def rows_of(forms_: Any, taken: int) -> list[dict[str, Any]]:
    """The rules of a valid formset as rows. A new one gets the next number above ``taken`` and those present."""
    kept = [
        form.cleaned_data
        for form in forms_
        if form.cleaned_data and form.cleaned_data.get("when") and not form.cleaned_data.get("DELETE")
    ]
    last = max([taken, *(data["number"] or 0 for data in kept)])
    rows: list[dict[str, Any]] = []
    used: set[int] = set()
    for data in kept:
        number = data["number"]
        if not number or number in used:
            last += 1
            number = last
        used.add(number)
        rows.append(
            Rule(
                number=number,
                when=data["when"].replace("\r\n", "\n"),
                then=data["then"].replace("\r\n", "\n"),
                priority=data["priority"],
                channels=tuple(data["channels"]),
                specialists=tuple(data["specialists"]),
                begins=data["begins"],
                ends=data["ends"],
                active=data["active"],
                always=data["always"],
                excludes=data["excludes"],
                calls=data["calls"],
                team=data["team"],
                words=data["words"],
            ).row()
        )
    return rows
