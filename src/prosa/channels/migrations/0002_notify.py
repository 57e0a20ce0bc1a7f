from django.db import migrations

TABLES = ("prosa_channels_inbox", "prosa_business_business")

FORWARD = """
CREATE FUNCTION prosa_notify_inbox() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('prosa_inbox', '');
  RETURN NULL;
END $$;
""" + "".join(
    f"CREATE TRIGGER prosa_notify_inbox AFTER INSERT OR UPDATE OR DELETE ON {table} "
    "FOR EACH STATEMENT EXECUTE FUNCTION prosa_notify_inbox();\n"
    for table in TABLES
)
BACKWARD = (
    "".join(f"DROP TRIGGER prosa_notify_inbox ON {table};\n" for table in TABLES)
    + "DROP FUNCTION prosa_notify_inbox();"
)


class Migration(migrations.Migration):
    dependencies = [("prosa_channels", "0001_initial"), ("prosa_business", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
