"""Tables that feed knowledge: a trigger notes which rows changed, and a chore has exactly their documents read again.

To make a table a kind of source: give :func:`origins.feed` the function that reads its rows, and its migration
:func:`attach`. Whoever changes the table, the admin or plain SQL, waits for nothing and locks nothing: changes are only
added, in the same transaction.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from django.db import migrations, transaction

from prosa.knowledge import origins, sync
from prosa.knowledge.models import ApprovedAnswer, Change, Source
from prosa.queue import chore, defer_sql, periodic

ANSWERS = "answers"
"""The kind of source that the approved answers are."""
PAGE = 1000

_FUNCTION = """
CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO prosa_knowledge_change (business_id, kind, key)
    SELECT DISTINCT r.business_id, '{kind}', r.key FROM ({rows}) AS r
    WHERE EXISTS (
        SELECT FROM prosa_knowledge_source s WHERE s.business_id = r.business_id AND s.kind = '{kind}' AND s.active
    );
    IF FOUND THEN
        BEGIN
            {defer}
        EXCEPTION WHEN undefined_function OR undefined_object OR undefined_table THEN
            NULL; -- the clock takes it within a minute
        END;
    END IF;
    RETURN NULL;
END
$$;
"""
_TRIGGERS = """
CREATE TRIGGER {name}_added AFTER INSERT ON {table}
    REFERENCING NEW TABLE AS given FOR EACH STATEMENT EXECUTE FUNCTION {name}();
CREATE TRIGGER {name}_removed AFTER DELETE ON {table}
    REFERENCING OLD TABLE AS given FOR EACH STATEMENT EXECUTE FUNCTION {name}();
CREATE TRIGGER {name}_changed AFTER UPDATE ON {table}
    REFERENCING OLD TABLE AS before NEW TABLE AS given FOR EACH STATEMENT EXECUTE FUNCTION {name}_changed();
"""
_AWAY = """
DROP TRIGGER {name}_added ON {table};
DROP TRIGGER {name}_removed ON {table};
DROP TRIGGER {name}_changed ON {table};
DROP FUNCTION {name}();
DROP FUNCTION {name}_changed();
"""


@chore
def take() -> None:
    """Have the documents of all rows that changed read again."""
    while True:
        with transaction.atomic():
            # Of two takers each has rows of its own.
            changes = list(Change.objects.select_for_update(skip_locked=True).order_by("pk")[:PAGE])
            keys: dict[tuple[int, str], list[str]] = defaultdict(list)
            for change in changes:
                keys[change.business_id, change.kind].append(change.key)
            for (business_id, kind), found in sorted(keys.items()):
                sources = Source.objects.filter(business_id=business_id, kind=kind, active=True).exclude(run=0)
                for source_id in sources.order_by("pk").values_list("pk", flat=True):
                    sync.refresh(source_id, found)
            Change.objects.filter(pk__in=[change.pk for change in changes]).delete()
        if len(changes) < PAGE:
            return


@periodic("* * * * *")
def look_after() -> None:
    """Take what a trigger could not announce."""
    if Change.objects.exists():
        take()


def attach(table: str, kind: str, *, key: str = "id", business: str = "business_id") -> migrations.RunSQL:
    """The operation of a migration that makes changes of ``table`` known to sources of ``kind``.

    ``key`` and ``business`` are its columns (or expressions over a row of it) that name the row and its business.
    """
    name = f"prosa_feed_{kind}"
    given = f"SELECT {business} AS business_id, {key}::text AS key FROM given"
    # A row may have moved from one business to another.
    both = f"{given} UNION SELECT {business}, {key}::text FROM before"
    one, other = (
        _FUNCTION.format(function=function, kind=kind, rows=rows, defer=defer_sql(take))
        for function, rows in ((name, given), (f"{name}_changed", both))
    )
    told = {"name": name, "table": table}
    return migrations.RunSQL(one + other + _TRIGGERS.format(**told), _AWAY.format(**told))


def answers(business_id: int, keys: Sequence[str] | None) -> dict[str, origins.Row]:
    """The approved answers of a business that are valid today, in its time zone: question, and question with answer."""
    found = ApprovedAnswer.in_force(business_id)
    if keys is not None:
        found = found.filter(pk__in=[int(key) for key in keys])
    return {
        str(answer.pk): (answer.question.partition(";")[0].strip(), f"{answer.question}\n\n{answer.answer}")
        for answer in found.order_by("pk")
    }


origins.feed(ANSWERS, answers)
