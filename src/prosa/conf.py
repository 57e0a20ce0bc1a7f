"""Every setting, one sentence each, read from the environment once and checked at start.

Names are the fixed faces of DESIGN section 8. Each ``NAME`` may also come from a file named by ``NAME_FILE``
(Docker and systemd secrets). A ``.env`` file in the working directory is read when there is one.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from prosa.errors import ConfigurationError

MEGABYTE = 1024 * 1024
MODEL_PROVIDERS = ("openai-chat", "openai", "google", "anthropic")
"""What may stand before the colon of a model's name; ``agents.llm`` makes each of them."""
SAMPLE_KEYS = frozenset({"changeme", "change-me", "secret", "django-insecure", "your-secret-key", "please-change-me"})


def _env(*names: str) -> Any:
    return AliasChoices(*names)


class _FileSource(PydanticBaseSettingsSource):
    """``NAME_FILE=/run/secrets/name`` for every ``NAME``; the variable itself wins when both are set."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        for alias in field.validation_alias.choices:
            path = os.environ.get(f"{alias}_FILE")
            if not path:
                continue
            try:
                return Path(path).read_text("utf-8").strip(), alias, False
            except OSError as error:
                raise ConfigurationError(
                    f"{alias}_FILE names {path}, which cannot be read: {error.strerror}.\n"
                    "Create the file or unset the variable."
                ) from error
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, field in self.settings_cls.model_fields.items():
            value, key, _ = self.get_field_value(field, name)
            if value is not None:
                values[key] = value
        return values


class Settings(BaseSettings):
    """The whole configuration of one installation."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", populate_by_name=True, frozen=True)

    # where things live
    database_url: str = Field(
        "", validation_alias=_env("DATABASE_URL"), description="PostgreSQL to use; empty = the embedded one."
    )
    redis_url: str = Field(
        "",
        validation_alias=_env("REDIS_URL"),
        description="Redis for caches that machines share, and to spread realtime news; optional.",
    )
    data_dir: Path = Field(
        Path("var"),
        validation_alias=_env("PROSA_DATA_DIR"),
        description="Folder for the embedded database, media and the generated secret key; for root in a closed home /var/lib/prosa.",
    )
    secret_key: SecretStr = Field(
        SecretStr(""),
        validation_alias=_env("PROSA_SECRET_KEY"),
        description="Signs sessions and encrypts credentials; generated in the data dir when the database is embedded.",
    )
    secret_key_fallbacks: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (),
        validation_alias=_env("PROSA_SECRET_KEY_FALLBACKS"),
        description="Earlier secret keys, comma-separated, still accepted while rotating.",
    )
    public_url: str = Field(
        "",
        validation_alias=_env("PROSA_PUBLIC_URL", "BASE_URL"),
        description="Address under which providers reach this server, e.g. https://bot.example.com.",
    )
    host: str = Field("127.0.0.1", validation_alias=_env("PROSA_HOST"), description="Interface the web process binds.")
    port: int = Field(
        8000, ge=1, le=65535, validation_alias=_env("PROSA_PORT", "PORT"), description="Port the web process binds."
    )
    debug: bool = Field(
        False, validation_alias=_env("PROSA_DEBUG"), description="Django's debug pages; never in production."
    )
    development: bool = Field(
        False,
        validation_alias=_env("PROSA_DEVELOPMENT"),
        description="Turns on the simulator and keyless local API; `prosa up` sets it on a loopback host.",
    )
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        validation_alias=_env("PROSA_ALLOWED_HOSTS"),
        description="Further host names to answer to, comma-separated.",
    )
    trusted_proxies: int = Field(
        0,
        ge=0,
        validation_alias=_env("PROSA_TRUSTED_PROXIES"),
        description="How many reverse proxies in front may be believed about client address and scheme.",
    )
    log_level: str = Field(
        "INFO", validation_alias=_env("PROSA_LOG_LEVEL"), description="DEBUG, INFO, WARNING or ERROR."
    )
    log_format: str = Field(
        "auto", validation_alias=_env("PROSA_LOG_FORMAT"), description="json, text, or auto: text on a terminal."
    )

    # models
    model: str = Field(
        "offline",
        validation_alias=_env("PROSA_MODEL"),
        description="provider:model for businesses that name none (openai-chat:, openai:, google:, anthropic:) or offline.",
    )
    fallback_models: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        validation_alias=_env("PROSA_FALLBACK_MODELS"),
        description="Tried in order when the first fails, comma-separated.",
    )
    transcription_model: str = Field(
        "",
        validation_alias=_env("PROSA_TRANSCRIPTION_MODEL"),
        description="Writes down customers' voice notes: e.g. openai:gpt-4o-mini-transcribe or google:gemini-3.5-flash-lite; empty = nobody does.",
    )
    speech_model: str = Field(
        "",
        validation_alias=_env("PROSA_SPEECH_MODEL"),
        description="Speaks replies as voice notes: e.g. openai:gpt-4o-mini-tts or google:gemini-3.8-flash-lite-tts; empty = replies are only written.",
    )
    embedding_model: str = Field(
        "",
        validation_alias=_env("PROSA_EMBEDDING_MODEL"),
        description="Vectors for knowledge search: openai:NAME, google:NAME, local:all-minilm-l6-v2; empty = full text alone.",
    )
    knowledge_dir: str = Field(
        "",
        validation_alias=_env("PROSA_KNOWLEDGE_DIR"),
        description="Folders named in the admin as sources of knowledge must lie below this one; default DATA_DIR/knowledge.",
    )
    qdrant_url: str = Field(
        "",
        validation_alias=_env("PROSA_QDRANT_URL"),
        description="Qdrant that keeps the vectors; empty = PostgreSQL with pgvector.",
    )
    qdrant_api_key: SecretStr = Field(
        SecretStr(""), validation_alias=_env("PROSA_QDRANT_API_KEY"), description="Key for Qdrant, when it wants one."
    )
    openai_api_key: SecretStr = Field(
        SecretStr(""), validation_alias=_env("OPENAI_API_KEY"), description="Key for OpenAI or a compatible server."
    )
    openai_base_url: str = Field(
        "", validation_alias=_env("OPENAI_BASE_URL"), description="An OpenAI-compatible server (Ollama, vLLM…)."
    )
    gemini_api_key: SecretStr = Field(
        SecretStr(""), validation_alias=_env("GEMINI_API_KEY", "GOOGLE_API_KEY"), description="Key for Google Gemini."
    )
    gemini_base_url: str = Field(
        "", validation_alias=_env("GOOGLE_GEMINI_BASE_URL"), description="Another address for Gemini."
    )
    anthropic_api_key: SecretStr = Field(
        SecretStr(""), validation_alias=_env("ANTHROPIC_API_KEY"), description="Key for Anthropic."
    )
    anthropic_base_url: str = Field(
        "", validation_alias=_env("ANTHROPIC_BASE_URL"), description="Another address for Anthropic."
    )

    media_wait: float = Field(
        8.0,
        ge=0,
        allow_inf_nan=False,
        validation_alias=_env("PROSA_MEDIA_WAIT"),
        description="Seconds after its arrival that an answer waits for a file to be fetched and a voice note to be written down.",
    )
    transcription_deadline: float = Field(
        60.0,
        gt=0,
        allow_inf_nan=False,
        validation_alias=_env("PROSA_TRANSCRIPTION_DEADLINE"),
        description="Seconds one try to write down a voice note may take.",
    )
    speech_deadline: float = Field(
        10.0,
        gt=0,
        allow_inf_nan=False,
        validation_alias=_env("PROSA_SPEECH_DEADLINE"),
        description="Seconds to make a voice note; after them the reply goes out as text.",
    )
    speech_retention_days: int = Field(
        30,
        ge=1,
        validation_alias=_env("PROSA_SPEECH_RETENTION_DAYS"),
        description="Spoken replies nobody used for so many days are deleted; their words stay.",
    )

    # a first inbox from the environment
    whatsapp_token: SecretStr = Field(
        SecretStr(""), validation_alias=_env("WHATSAPP_TOKEN"), description="System-user token of the Cloud API."
    )
    whatsapp_phone_number_id: str = Field(
        "", validation_alias=_env("WHATSAPP_PHONE_NUMBER_ID"), description="The number's id at Meta."
    )
    whatsapp_app_secret: SecretStr = Field(
        SecretStr(""), validation_alias=_env("WHATSAPP_APP_SECRET"), description="Signs Meta's webhooks."
    )
    whatsapp_verify_token: SecretStr = Field(
        SecretStr(""), validation_alias=_env("WHATSAPP_VERIFY_TOKEN"), description="Answered at Meta's handshake."
    )
    whatsapp_graph_url: str = Field(
        "",
        validation_alias=_env("WHATSAPP_GRAPH_URL"),
        description="Graph base URL without version; default https://graph.facebook.com.",
    )
    twilio_account_sid: str = Field("", validation_alias=_env("TWILIO_ACCOUNT_SID"), description="Twilio account.")
    twilio_auth_token: SecretStr = Field(
        SecretStr(""), validation_alias=_env("TWILIO_AUTH_TOKEN"), description="Signs Twilio's webhooks and our calls."
    )
    twilio_whatsapp_number: str = Field(
        "", validation_alias=_env("TWILIO_WHATSAPP_NUMBER"), description="Sender, as +E.164 or whatsapp:+E.164."
    )
    twilio_api_url: str = Field(
        "", validation_alias=_env("TWILIO_API_URL"), description="Twilio base URL; default https://api.twilio.com."
    )
    admin_email: str = Field(
        "", validation_alias=_env("PROSA_ADMIN_EMAIL"), description="First administrator, made by `prosa setup`."
    )
    admin_password: SecretStr = Field(
        SecretStr(""), validation_alias=_env("PROSA_ADMIN_PASSWORD"), description="Password of the first administrator."
    )

    otlp_endpoint: str = Field(
        "",
        validation_alias=_env("OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="Where OpenTelemetry spans of turns go (OTLP over HTTP), e.g. http://localhost:4318; never with message text; empty = nowhere.",
    )

    # limits
    media_max_bytes: int = Field(
        100 * MEGABYTE,
        validation_alias=_env("PROSA_MEDIA_MAX_BYTES"),
        description="Largest file taken from a customer.",
    )
    confirm_minutes: int = Field(
        15,
        ge=1,
        le=1440,
        validation_alias=_env("PROSA_CONFIRM_MINUTES"),
        description="How long the customer's yes to something that cannot be undone is waited for.",
    )
    verified_minutes: int = Field(
        15,
        ge=1,
        le=1440,
        validation_alias=_env("PROSA_VERIFIED_MINUTES"),
        description="How long a customer's proof of who they are holds in a conversation.",
    )
    email_url: SecretStr = Field(
        SecretStr(""),
        validation_alias=_env("PROSA_EMAIL_URL"),
        description="Sends e-mail (codes, invitations, notifications): smtp://user:password@host:587 (STARTTLS) or smtps://…:465; empty = none is sent.",
    )
    email_from: str = Field(
        "", validation_alias=_env("PROSA_EMAIL_FROM"), description="Sender of e-mail, e.g. Loja <oi@example.com>."
    )
    webhook_retention_days: int = Field(
        30,
        validation_alias=_env("PROSA_WEBHOOK_RETENTION_DAYS"),
        description="Raw webhooks are deleted after this many days.",
    )
    worker_concurrency: int = Field(
        200,
        ge=1,
        validation_alias=_env("PROSA_WORKER_CONCURRENCY"),
        description="Turns one worker process thinks about at once.",
    )
    api_deadline: float = Field(
        25.0,
        ge=0,
        allow_inf_nan=False,
        validation_alias=_env("PROSA_API_DEADLINE"),
        description="Seconds the REST API waits before it answers 202.",
    )
    api_rate: float = Field(
        100.0,
        validation_alias=_env("PROSA_API_RATE"),
        description="Requests a second one API key may make of one web process; 0 = no limit.",
    )
    link_users: bool = Field(
        False,
        validation_alias=_env("PROSA_LINK_USERS"),
        description="Tells the people of every business here which user of the installation has a contact's e-mail address; only where they are one company.",
    )

    @field_validator("secret_key_fallbacks", "fallback_models", "allowed_hosts", mode="before")
    @classmethod
    def _comma_separated(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("secret_key")
    @classmethod
    def _no_samples(cls, value: SecretStr) -> SecretStr:
        secret = value.get_secret_value()
        if secret and (secret.lower() in SAMPLE_KEYS or secret.startswith("django-insecure") or len(secret) < 32):
            raise ValueError("is a sample or shorter than 32 characters; make one with: openssl rand -base64 48")
        return value

    @field_validator(
        "public_url",
        "whatsapp_graph_url",
        "twilio_api_url",
        "openai_base_url",
        "gemini_base_url",
        "anthropic_base_url",
        "qdrant_url",
        "otlp_endpoint",
    )
    @classmethod
    def _http_url(cls, value: str) -> str:
        if value and not value.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return value.rstrip("/")

    @field_validator("transcription_model", "speech_model")
    @classmethod
    def _voice(cls, value: str) -> str:
        # Plug-ins bring transcribers of their own, so only the form can be checked here.
        provider, _, model = value.strip().partition(":")
        if value.strip() and not (provider and model):
            raise ValueError("must be provider:model, e.g. openai:gpt-4o-mini-transcribe, or empty")
        return value.strip()

    @field_validator("log_level")
    @classmethod
    def _level(cls, value: str) -> str:
        if value.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
            raise ValueError("must be DEBUG, INFO, WARNING or ERROR")
        return value.upper()

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        found = value.expanduser().absolute()
        # As root the embedded PostgreSQL is another OS user, whom a home of mode 0700 shuts out.
        if (
            value == Path("var")
            and os.geteuid() == 0
            and not all(folder.stat().st_mode & 0o001 for folder in found.parents)
        ):
            return Path("/var/lib/prosa")
        return found

    @property
    def knowledge_folder(self) -> Path:
        """Where folders named in the admin as sources of knowledge must lie."""
        return Path(self.knowledge_dir).expanduser().absolute() if self.knowledge_dir else self.data_dir / "knowledge"

    @property
    def embedded(self) -> bool:
        """True when Prosa runs its own PostgreSQL."""
        return not self.database_url

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then environment, then ``NAME_FILE``, then ``.env``."""
        return init_settings, env_settings, _FileSource(settings_cls), dotenv_settings


def names_model(name: str) -> bool:
    """Is it ``offline``, or ``provider:model`` with a provider we have?"""
    provider, _, model = name.partition(":")
    return name == "offline" or (provider in MODEL_PROVIDERS and model.strip() != "")


def load() -> Settings:
    """Read the environment afresh.

    :raises ConfigurationError: naming each wrong variable and what it should be; never its value.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = []
        for problem in error.errors(include_url=False, include_input=False):
            name = str(problem["loc"][0]) if problem["loc"] else "settings"
            alias = Settings.model_fields[name].validation_alias if name in Settings.model_fields else None
            shown = alias.choices[0] if isinstance(alias, AliasChoices) else name
            lines.append(f"{shown}: {problem['msg'].removeprefix('Value error, ')}")
        raise ConfigurationError("\n".join(lines) + "\nCorrect the environment or .env and start again.") from None


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The process's settings, read on first use."""
    return load()
