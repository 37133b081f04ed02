"""Settings, read from the environment (django-environ); every one has a default that works on a laptop."""

import os
from pathlib import Path
from typing import Any

import environ

from config.unfold import UNFOLD  # noqa: F401  the look of the back office

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env", overwrite=False)

DATA_DIR = Path(env.str("METERBOOK_DATA", default=str(BASE_DIR / ".data")))
DEBUG = env.bool("DEBUG", default=False)
PRODUCTION = env.bool("METERBOOK_PRODUCTION", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="" if PRODUCTION else "meterbook-on-a-laptop-" + "x" * 50)
ALLOWED_HOSTS = env.list(
    "ALLOWED_HOSTS", default=[] if PRODUCTION else ["localhost", "127.0.0.1", "[::1]", "testserver"]
)
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "config",
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "whitenoise.runserver_nostatic",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "django_q",
    "pgtrigger",
    "customers",
    "billing",
    "revenue",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "billing.metering.months.middleware.MonthDetachedMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.debug",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


def _database() -> dict[str, Any]:
    """The server that DATABASE_URL names, or the embedded one in DATA_DIR/postgres."""
    database: dict[str, Any]
    if "DATABASE_URL" in os.environ:
        database = env.db_url("DATABASE_URL")
    else:
        database = {
            "ENGINE": "config.embedded",
            "NAME": "postgres",
            "OPTIONS": {
                "embedded": DATA_DIR / "postgres",
                # Server settings, such as METERBOOK_POSTGRES=shared_buffers=2GB,max_wal_size=8GB for a benchmark.
                "embedded_settings": env.dict("METERBOOK_POSTGRES", default={}),
            },
        }
    # A test's helpers (worker, web server) are processes of their own: they are told the test's database by name.
    database["NAME"] = env.str("METERBOOK_DATABASE_NAME", default=database["NAME"])
    # Two test runs in one checkout must not share a database: each takes its own name.
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")[:8] or str(os.getpid())
    return database | {
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "TEST": {"NAME": f"test_meterbook_{run}"},
    }


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

LANGUAGE_CODE = "en-us"
FORMAT_MODULE_PATH = ["config.formats"]  # ISO dates
TIME_ZONE = "UTC"
USE_I18N = True
USE_TZ = True

LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"

STATIC_URL = "static/"
STATIC_ROOT = env.str("STATIC_ROOT", default=None)  # for collectstatic, where another server serves the files
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True  # a checkout serves its own static files: no collectstatic needed
MEDIA_ROOT = DATA_DIR / "documents"
ARCHIVE_DIR = Path(env.str("METERBOOK_ARCHIVE", default=str(DATA_DIR / "archive")))  # months of events as files

EMAIL_BACKEND = env.str("EMAIL_BACKEND", default="django.core.mail.backends.filebased.EmailBackend")
EMAIL_FILE_PATH = DATA_DIR / "outbox"
EMAIL_HOST = env.str("EMAIL_HOST", default="localhost")
EMAIL_PORT = env.int("EMAIL_PORT", default=25)
EMAIL_HOST_USER = env.str("EMAIL_HOST_USER", default="")
EMAIL_HOST_PASSWORD = env.str("EMAIL_HOST_PASSWORD", default="")
EMAIL_USE_TLS = env.bool("EMAIL_USE_TLS", default=False)
EMAIL_TIMEOUT = 15  # seconds: a mail server that hangs must not hold the worker
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="billing@localhost")

Q_CLUSTER = {
    "name": "meterbook",
    "orm": "default",
    "workers": env.int("METERBOOK_WORKERS", default=2),
    "timeout": 600,
    "retry": 900,
    "max_attempts": 5,
    "ack_failures": True,
    "catch_up": False,
    "poll": 0.2,
    "save_limit": 1000,
}

# A draft version of a hundred charges, or a matrix of thousands of cells, is one form.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 10_000
DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000_000

# Who is told by mail when usage stops or jumps, or a source falls silent.
WRITE_OFF_FOUR_EYES = env.bool("METERBOOK_WRITE_OFF_FOUR_EYES", default=True)  # who asks for one cannot approve it
USAGE_ALERT_EMAILS = env.list("USAGE_ALERT_EMAILS", default=[])
VERIFICATION_EMAILS = env.list("VERIFICATION_EMAILS", default=[])
DISPUTE_EMAILS = env.list("DISPUTE_EMAILS", default=[])  # empty: the e-mail of the legal entity
PUBLIC_URL = env.str("PUBLIC_URL", default="")  # under which customers reach this server: https://billing.example.com
# Who may tell which taxes apply: a name, as a legal entity has it, and the dotted name of a class (docs/taxes.md).
TAX_PROVIDERS = {"table": "billing.invoicing.taxes.table.TableOfRates"} | env.dict("TAX_PROVIDERS", default={})
# Usage (R1.5): an event further in the future than this is refused.
USAGE_FUTURE_LIMIT_SECONDS = env.int("USAGE_FUTURE_LIMIT_SECONDS", default=300)
# One request to the ingest endpoint: bytes of its body (after unpacking), and events.
USAGE_BODY_LIMIT_BYTES = env.int("USAGE_BODY_LIMIT_BYTES", default=10_000_000)
USAGE_BATCH_LIMIT = env.int("USAGE_BATCH_LIMIT", default=100_000)
# One line of newline-delimited JSON, in bytes; their number is not limited.
USAGE_LINE_LIMIT_BYTES = env.int("USAGE_LINE_LIMIT_BYTES", default=1_000_000)
# How long storing events waits for a lock that another session holds, in seconds, before the sender is told to come
# again (503).
USAGE_LOCK_TIMEOUT_SECONDS = env.int("USAGE_LOCK_TIMEOUT_SECONDS", default=5)
# Requests of more than 100 events that a web process stores at once; each needs a connection.
USAGE_WRITERS = env.int("USAGE_WRITERS", default=2)

# Files of usage that are uploaded in the admin: bytes of one file, and days that files and errors files are kept.
METERBOOK_UPLOAD_LIMIT_BYTES = env.int("METERBOOK_UPLOAD_LIMIT_BYTES", default=500_000_000)
METERBOOK_UPLOAD_DAYS = env.int("METERBOOK_UPLOAD_DAYS", default=30)
UPLOAD_ROOT = DATA_DIR / "uploads"
# Pull sources: folders of this machine that may be read, kinds of addresses, seconds that one statement may take.
METERBOOK_PULL_ROOTS = env.list("METERBOOK_PULL_ROOTS", default=[str(DATA_DIR / "incoming")])
METERBOOK_PULL_SCHEMES = env.list("METERBOOK_PULL_SCHEMES", default=["file", "s3", "gs", "sftp"])
METERBOOK_PULL_TIMEOUT_SECONDS = env.int("METERBOOK_PULL_TIMEOUT_SECONDS", default=300)

if PRODUCTION:
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
}
