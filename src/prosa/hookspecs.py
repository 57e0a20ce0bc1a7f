"""Every extension point of Prosa, one documented function each.

A package joins by an entry point in the group ``prosa`` that names a module with functions of these names,
each marked ``@prosa.hookspecs.hookimpl``. The house uses the same doors: see ``prosa.plugins.DEFAULT_PLUGINS``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pluggy

from prosa.contracts import CustomerRegister, Finding, Listener, ProofOffer, ToolOffer

hookspec = pluggy.HookspecMarker("prosa")
hookimpl = pluggy.HookimplMarker("prosa")


@hookspec
def channel_providers() -> Iterable[Any]:
    """Channel providers to offer: instances of ``prosa.channels.base.Provider``."""
    raise NotImplementedError


@hookspec
def doctor_checks() -> Iterable[Finding]:
    """Look at what you own and report it, one :class:`~prosa.contracts.Finding` a line. The database is reachable."""
    raise NotImplementedError


@hookspec
def tools() -> Iterable[ToolOffer]:
    """Tools to offer to the assistant: one :class:`~prosa.contracts.ToolOffer` each. Read once a process.

    A tool whose name or schema cannot be used is left out, and ``prosa doctor`` says why.
    """
    raise NotImplementedError


@hookspec
def identity_proofs() -> Iterable[ProofOffer]:
    """Ways for customers to show who they are: one :class:`~prosa.contracts.ProofOffer` each. Read once a process."""
    raise NotImplementedError


@hookspec
def customer_registers() -> Iterable[CustomerRegister]:
    """Where a business's customers are known, for the links of its contacts: one :class:`~prosa.contracts.CustomerRegister` each.

    Read once a process.
    """
    raise NotImplementedError


@hookspec
def transcribers() -> Iterable[Any]:
    """What can write down a voice note: instances of ``prosa.agents.speech.Transcriber``.

    The one whose ``provider`` stands before the colon of ``PROSA_TRANSCRIPTION_MODEL`` is asked.
    """
    raise NotImplementedError


@hookspec
def listeners() -> Iterable[Listener]:
    """Chores that hear when a conversation changes hands: one :class:`~prosa.contracts.Listener` each. Read once a process."""
    raise NotImplementedError
