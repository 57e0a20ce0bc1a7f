import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
import prosa.encryption
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('prosa_business', '0008_people'),
        ('prosa_conversations', '0013_handoffs'),
        ('prosa_desk', '0003_accounts'),
    ]

    operations = [
        migrations.CreateModel(
            name='Discretion',
            fields=[
                ('business', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='+', serialize=False, to='prosa_business.business')),
                ('quotes', models.BooleanField(default=False, verbose_name="Also say the customer's last words")),
            ],
            options={
                'verbose_name': 'discretion of notices',
                'verbose_name_plural': 'discretion of notices',
            },
        ),
        migrations.CreateModel(
            name='Outlet',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('way', models.CharField(choices=[('email', 'E-mail'), ('slack', 'Slack'), ('webhook', 'Signed webhook')], max_length=10, verbose_name='way')),
                ('name', models.CharField(blank=True, default='', max_length=60, verbose_name='name')),
                ('address', prosa.encryption.EncryptedJSONField(blank=True, default=dict, verbose_name='address')),
                ('active', models.BooleanField(default=True, verbose_name='active')),
                ('handed_off', models.BooleanField(default=True, verbose_name='A customer waits for a person')),
                ('assigned', models.BooleanField(default=True, verbose_name='A conversation is given to me or my team')),
                ('escalated', models.BooleanField(default=True, verbose_name='Nobody took a conversation in time')),
                ('unanswered', models.BooleanField(default=True, verbose_name="A customer's message has no answer")),
                ('unanswered_minutes', models.PositiveSmallIntegerField(default=15, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(1440)], verbose_name='minutes without an answer')),
                ('quiet_from', models.TimeField(blank=True, null=True, verbose_name='quiet from')),
                ('quiet_to', models.TimeField(blank=True, null=True, verbose_name='quiet until')),
                ('sent_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('next_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('succeeded_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('attempts', models.PositiveSmallIntegerField(default=0, editable=False)),
                ('error', models.TextField(blank=True, default='', editable=False)),
                ('failed_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('business', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='outlets', to='prosa_business.business', verbose_name='business')),
                ('member', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='outlets', to='prosa_business.membership', verbose_name='member')),
                ('team', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='outlets', to='prosa_business.team', verbose_name='team')),
            ],
            options={
                'verbose_name': 'notification outlet',
                'verbose_name_plural': 'notification outlets',
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='Notice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(max_length=12)),
                ('source', models.BigIntegerField()),
                ('happened_at', models.DateTimeField()),
                ('status', models.CharField(db_default='waiting', max_length=8)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('told_at', models.DateTimeField(blank=True, null=True)),
                ('conversation', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='prosa_conversations.conversation')),
                ('outlet', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='notices', to='prosa_desk.outlet')),
            ],
            options={
                'verbose_name': 'notice',
                'verbose_name_plural': 'notices',
            },
        ),
        migrations.AddIndex(
            model_name='outlet',
            index=models.Index(fields=['business'], name='prosa_outlet_business'),
        ),
        migrations.AddConstraint(
            model_name='outlet',
            constraint=models.UniqueConstraint(condition=models.Q(('member__isnull', False)), fields=('member', 'way'), name='prosa_outlet_member'),
        ),
        migrations.AddIndex(
            model_name='notice',
            index=models.Index(condition=models.Q(('status', 'waiting')), fields=['outlet', 'created_at'], name='prosa_notice_waiting'),
        ),
        migrations.AddConstraint(
            model_name='notice',
            constraint=models.UniqueConstraint(fields=('outlet', 'kind', 'source'), name='prosa_notice_once'),
        ),
    ]
