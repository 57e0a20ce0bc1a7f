"""What ``prosa doctor`` says about knowledge: whether it is found by meaning, and how far a new embedding model is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.utils.translation import gettext as _

from prosa import conf
from prosa.contracts import Finding
from prosa.hookspecs import hookimpl


@hookimpl
def doctor_checks() -> Iterable[Finding]:
    """One line or more per subject."""
    yield from vectors()


def vectors() -> Iterator[Finding]:
    """One line per business that has documents: which embedding model serves it, and how far the configured one is."""
    from django.db import connection  # plug-ins are loaded before Django is

    from prosa.knowledge import filling, stores
    from prosa.knowledge.models import Extent

    subject = _("knowledge search")
    model = conf.settings().embedding_model
    if not model:
        yield Finding("ok", subject, _("Documents are found by their words: PROSA_EMBEDDING_MODEL is empty."))
        return
    if stores.name() == stores.PGVECTOR and "prosa_knowledge_vector" not in connection.introspection.table_names():
        yield Finding(
            "warning",
            subject,
            _("PostgreSQL has no pgvector, so documents are found by their words alone."),
            _(
                "Install the extension (Debian: postgresql-NN-pgvector) and run SELECT prosa_vectors(); as its owner, or set PROSA_QDRANT_URL."
            ),
        )
        return
    for extent in Extent.objects.filter(chunks__gt=0).select_related("business").order_by("business_id"):
        found = filling.progress(extent.business_id)
        told = {
            "business": extent.business.name,
            "model": model,
            "done": found.done,
            "total": found.total,
            "serving": found.serving or _("words alone"),
        }
        if found.complete:
            yield Finding("ok", subject, _("%(business)s: %(model)s serves all %(total)s passages.") % told)
        elif found.problem:
            yield Finding(
                "warning",
                subject,
                _("%(business)s: %(model)s has %(done)s of %(total)s passages and stopped. Meanwhile: %(serving)s.")
                % told
                + f" {found.problem}",
                _("It is tried again every minute. See the budget, the model's key and its address."),
            )
        else:
            yield Finding(
                "ok",
                subject,
                _("%(business)s: %(model)s has %(done)s of %(total)s passages so far. Meanwhile: %(serving)s.") % told,
                _("A worker goes on with it."),
            )
