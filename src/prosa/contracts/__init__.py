"""The frozen nouns that cross borders between layers.

Channels produce :class:`Parsed` from bytes and turn :class:`OutboundMessage` into a provider's call.
Conversations hand an :class:`agents <Turn>` a :class:`Turn` and get a :class:`TurnResult`. Nobody needs
to import a model to take part.

Messages, passages, templates, tools and turns have a file each; all are imported from here.
"""

from __future__ import annotations

from prosa.contracts.customers import (
    Candidate,
    CustomerRegister,
    Order,
    Profile,
)
from prosa.contracts.messages import (
    Attachment,
    Finding,
    Identity,
    IdentityChange,
    InboundKind,
    InboundMessage,
    InboxConfig,
    Json,
    Media,
    MediaKind,
    Notice,
    Option,
    OutboundMessage,
    Parsed,
    Receipt,
    Sent,
    Takeover,
    Typing,
    WebhookRequest,
)
from prosa.contracts.passages import (
    ApprovedAnswer,
    Passage,
)
from prosa.contracts.templates import Slot, Template
from prosa.contracts.tools import (
    IDENTITY_LEVELS,
    Action,
    Caller,
    Deed,
    IdentityLevel,
    ProofOffer,
    Risk,
    Run,
    Tool,
    ToolContext,
    ToolOffer,
    ToolResult,
)
from prosa.contracts.turns import (
    Ask,
    Asked,
    Execute,
    File,
    Handoff,
    Line,
    Listener,
    Reply,
    Specialist,
    Transfer,
    Turn,
    TurnResult,
    Usage,
)

__all__ = [
    "IDENTITY_LEVELS",
    "Action",
    "ApprovedAnswer",
    "Ask",
    "Asked",
    "Attachment",
    "Caller",
    "Candidate",
    "CustomerRegister",
    "Deed",
    "Execute",
    "File",
    "Finding",
    "Handoff",
    "Identity",
    "IdentityChange",
    "IdentityLevel",
    "InboundKind",
    "InboundMessage",
    "InboxConfig",
    "Json",
    "Line",
    "Listener",
    "Media",
    "MediaKind",
    "Notice",
    "Option",
    "Order",
    "OutboundMessage",
    "Parsed",
    "Passage",
    "Profile",
    "ProofOffer",
    "Receipt",
    "Reply",
    "Risk",
    "Run",
    "Sent",
    "Slot",
    "Specialist",
    "Takeover",
    "Template",
    "Tool",
    "ToolContext",
    "ToolOffer",
    "ToolResult",
    "Transfer",
    "Turn",
    "TurnResult",
    "Typing",
    "Usage",
    "WebhookRequest",
]
