"""The plug-in manager. Built-ins are plug-ins too."""

from __future__ import annotations

import importlib
from functools import lru_cache

import pluggy

from prosa import hookspecs

DEFAULT_PLUGINS = (
    "prosa.channels.providers",
    "prosa.channels.checks",
    "prosa.costs.checks",
    "prosa.knowledge.checks",
    "prosa.contacts.users",
    "prosa.conversations.checks",
    "prosa.desk.assignment",
    "prosa.desk.notices",
)


@lru_cache(maxsize=1)
def manager() -> pluggy.PluginManager:
    """The process's manager: built-ins first, then installed packages with an entry point in the group ``prosa``."""
    made = pluggy.PluginManager("prosa")
    made.add_hookspecs(hookspecs)
    for name in DEFAULT_PLUGINS:
        made.register(importlib.import_module(name), name)
    made.load_setuptools_entrypoints("prosa")
    return made
