"""The same platform with Django's own admin, without Prosa's pages in it."""

from feira.settings import *  # noqa: F403
from feira.settings import INSTALLED_APPS

INSTALLED_APPS = [name for name in INSTALLED_APPS if name != "unfold"]
