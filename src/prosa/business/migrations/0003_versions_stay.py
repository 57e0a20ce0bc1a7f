from django.contrib.auth import get_user_model
from django.db import migrations


def keep_what_is_in_force(apps, _schema_editor):
    """The text of today is the only version that is still known."""
    user = get_user_model()  # for the name of the field: the historical model knows no methods
    guidelines = apps.get_model("prosa_business", "Guideline")
    versions = apps.get_model("prosa_business", "GuidelineVersion")
    versions.objects.bulk_create(
        versions(
            guideline_id=one.pk,
            number=one.version,
            text=one.text,
            rules=one.rules,
            published_at=one.updated_at,
            published_by_id=one.updated_by_id,
            published_name=getattr(one.updated_by, user.USERNAME_FIELD) if one.updated_by_id else "",
        )
        for one in guidelines.objects.select_related("updated_by")
    )


# Who published may be deleted (SET NULL); nothing else of a version may change.
REFUSE = """
CREATE FUNCTION prosa_business_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'A published version of guidelines never changes. Publish a new one.';
END $$;
CREATE TRIGGER prosa_business_version_stays
BEFORE UPDATE OF guideline_id, number, text, rules, note, published_at, published_name ON prosa_business_guidelineversion
FOR EACH ROW EXECUTE FUNCTION prosa_business_refuse_change();
"""
ALLOW = """
DROP TRIGGER prosa_business_version_stays ON prosa_business_guidelineversion;
DROP FUNCTION prosa_business_refuse_change();
"""


class Migration(migrations.Migration):

    dependencies = [("prosa_business", "0002_guideline_versions")]

    operations = [
        # The trigger first: a table whose new rows still wait for their foreign keys' check takes none.
        migrations.RunSQL(REFUSE, ALLOW),
        migrations.RunPython(keep_what_is_in_force, migrations.RunPython.noop),
    ]
