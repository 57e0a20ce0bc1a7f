"""What ``prosa doctor`` says about knowledge: whether it is found by meaning, how far a new embedding model is, which sources could not be read."""

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
    yield from sources()


def sources() -> Iterator[Finding]:
    """One line per source that could not be read, or some of whose documents could not; one line when all is well."""
    from django.db.models import Count, Q  # plug-ins are loaded before Django is

    from prosa.knowledge import troubles
    from prosa.knowledge.models import Source

    subject = _("knowledge sources")
    broken = Count("items", filter=~Q(items__error=""))
    known = list(Source.objects.annotate(broken=broken).select_related("business").order_by("business_id", "name"))
    for source in known:
        told = {"business": source.business.name, "name": source.name, "count": source.broken}
        if source.status == Source.Status.FAILED:
            what, fix = troubles.told(source.error)
            said = _("%(business)s: “%(name)s” could not be read.") % told
            yield Finding(
                "warning", subject, f"{said} {what}", fix or _("Correct it and synchronise the source again.")
            )
        elif source.broken:
            said = _("%(business)s: %(count)s documents of “%(name)s” could not be read.") % told
            yield Finding("warning", subject, said, _("The source's page in the admin says which and why."))
    if known and not any(source.broken or source.status == Source.Status.FAILED for source in known):
        yield Finding("ok", subject, _("All %(count)s sources could be read.") % {"count": len(known)})


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
