"""The form field in which a business sees the usual words that ask for a person, and takes the tick from those it will not have."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from prosa.business import handoff
from prosa.business.models import LOCALES

NAMES = dict(LOCALES) | {"pt": dict(LOCALES)["pt-br"]}


class UsualWords(forms.MultipleChoiceField):
    """Shows the words that are left on, ticked; keeps those that are off (``handoff.kept``)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            label=_("Usual words that ask for a person"),
            required=False,
            choices=[
                (NAMES[tongue], [(seed.word, seed.word) for seed in seeds]) for tongue, seeds in handoff.SEEDS.items()
            ],
            widget=forms.CheckboxSelectMultiple(attrs={"class": "prosa-usual"}),
            help_text=_(
                "They count as customers use them to ask (“quero falar com um atendente”), not wherever they stand. None ticked: only your own words."
            ),
            **kwargs,
        )

    def prepare_value(self, value: Any) -> Any:
        """Stored text as the words that are on; what a browser sent stays as it is."""
        return [word for word in handoff.WORDS if word not in handoff.off(value)] if isinstance(value, str) else value

    def clean(self, value: Any) -> str:
        """What is stored."""
        return handoff.kept(super().clean(value))

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compared as it is stored."""
        return handoff.kept(self.prepare_value(initial or "")) != handoff.kept(data or [])
