"""How the admin looks and what its side bar holds. Colours are those of ``prosa/tokens.css``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _


def _may_view(model: str) -> Callable[[HttpRequest], bool]:
    app, _dot, name = model.partition(".")
    return lambda request: request.user.has_perm(f"{app}.view_{name}")


def _item(title: Any, icon: str, model: str, badge: str = "") -> dict[str, Any]:
    item = {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{model.replace('.', '_')}_changelist"),
        "permission": _may_view(model),
    }
    return {**item, "badge": badge, "badge_variant": "danger", "badge_style": "solid"} if badge else item


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Prosa",
    "SITE_HEADER": "Prosa",
    "SITE_SUBHEADER": _("Customer service"),
    "SITE_SYMBOL": "forum",
    "SITE_URL": "/",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static("prosa/icon.svg")}],
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": True,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "10px",
    "STYLES": [lambda _request: static("prosa/tokens.css"), lambda _request: static("prosa/admin.css")],
    "DASHBOARD_CALLBACK": "prosa.conversations.pages.dashboard.fill",
    "COLORS": {
        "base": {
            "50": "#f4f7f6",
            "100": "#eaf0ee",
            "200": "#d8e1de",
            "300": "#bccac5",
            "400": "#94a69f",
            "500": "#5d6f69",
            "600": "#465751",
            "700": "#33423d",
            "800": "#22302c",
            "900": "#121b19",
            "950": "#0a100f",
        },
        "primary": {
            "50": "#eefaf7",
            "100": "#d9efec",
            "200": "#b0ded8",
            "300": "#83cfc5",
            "400": "#5cc9b7",
            "500": "#35aa9b",
            "600": "#0f766e",
            "700": "#0d615b",
            "800": "#0f4e49",
            "900": "#113f3c",
            "950": "#06231e",
        },
    },
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            {
                "items": [
                    {"title": _("Overview"), "icon": "dashboard", "link": reverse_lazy("admin:index")},
                    _item(
                        _("Conversations"),
                        "forum",
                        "prosa_conversations.conversation",
                        "prosa.conversations.pages.dashboard.waiting_badge",
                    ),
                    _item(_("Contacts"), "contacts", "prosa_contacts.contact"),
                    _item(_("What tools did"), "task_alt", "prosa_conversations.execution"),
                    {
                        "title": _("Ask about your business"),
                        "icon": "query_stats",
                        "link": reverse_lazy("admin:prosa_conversations_ask"),
                        "permission": _may_view("prosa_conversations.conversation"),
                    },
                ],
            },
            {
                "title": _("Assistant"),
                "separator": True,
                "items": [
                    _item(_("Businesses"), "storefront", "prosa_business.business"),
                    _item(_("Guidelines"), "rule", "prosa_business.guideline"),
                    _item(_("Specialists"), "groups", "prosa_business.specialist"),
                ],
            },
            {
                "title": _("People"),
                "separator": True,
                "items": [
                    _item(_("Members"), "badge", "prosa_business.membership"),
                    _item(_("Teams"), "diversity_3", "prosa_business.team"),
                ],
            },
            {
                "title": _("Knowledge"),
                "separator": True,
                "items": [
                    _item(_("Sources"), "library_books", "prosa_knowledge.source"),
                    _item(_("Documents"), "article", "prosa_knowledge.document"),
                    {
                        "title": _("Ask the knowledge"),
                        "icon": "search",
                        "link": reverse_lazy("admin:prosa_knowledge_document_ask"),
                        "permission": _may_view("prosa_knowledge.document"),
                    },
                    _item(_("Approved answers"), "verified", "prosa_knowledge.approvedanswer"),
                    _item(_("Unanswered questions"), "help", "prosa_knowledge.gap"),
                    _item(_("Suggested answers"), "lightbulb", "prosa_knowledge.suggestion"),
                ],
            },
            {
                "title": _("Costs"),
                "separator": True,
                "items": [
                    _item(_("Budgets"), "savings", "prosa_costs.budget"),
                    _item(_("Model prices"), "sell", "prosa_costs.modelprice"),
                    _item(_("Free tiers"), "speed", "prosa_costs.modelquota"),
                ],
            },
            {
                "title": _("Channels"),
                "separator": True,
                "items": [
                    _item(
                        _("Inboxes"),
                        "inbox",
                        "prosa_channels.inbox",
                        "prosa.conversations.pages.dashboard.trouble_badge",
                    ),
                    _item(_("API keys"), "key", "prosa_channels.apikey"),
                ],
            },
            {
                "title": _("Repair"),
                "separator": True,
                "collapsible": True,
                "items": [
                    _item(_("Undelivered messages"), "sms_failed", "prosa_conversations.message"),
                    _item(
                        _("Dead letters"),
                        "heart_broken",
                        "prosa_conversations.dispatch",
                        "prosa.conversations.pages.dashboard.dead_badge",
                    ),
                    _item(_("Webhook events"), "webhook", "prosa_conversations.webhookevent"),
                ],
            },
            {
                "title": _("System"),
                "separator": True,
                "collapsible": True,
                "items": [
                    _item(_("Users"), "person", "auth.user"),
                    _item(_("Groups"), "group", "auth.group"),
                ],
            },
        ],
    },
}
