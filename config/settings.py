"""Django's settings. The only reader of the environment.

Values come from the environment, or from the file that ENV_FILE names (.env by default).
An empty value means the default. `.env.example` lists them all.
"""

from datetime import timedelta
from typing import Any

from corsheaders.defaults import default_headers
from django.core.files.storage import FileSystemStorage

from config import checks, env, kafka, logs  # noqa: F401  registers the checks

env.read_file()

BASE_DIR = env.BASE_DIR
VAR_DIR = env.private_folder(env.VAR_DIR)

DEBUG = env.switch("DEBUG", True)
SECRET_KEY = env.text("SECRET_KEY", "only-for-development-" + "0" * 40)
if not DEBUG and len(env.text("SECRET_KEY")) < env.MIN_KEY_LENGTH:
    env.problems.append(
        env.Problem(
            "SECRET_KEY",
            f"It is missing, or shorter than {env.MIN_KEY_LENGTH} characters.",
            "Production needs a long random one: python -c 'import secrets; "
            "print(secrets.token_urlsafe(48))'",
        )
    )
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS") or ["localhost", "127.0.0.1", "[::1]"]
SITE_URL = env.origin("SITE_URL")

INSTALLED_APPS = [
    "messaging.console",  # Django's admin, with a start page of ours
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.sitemaps",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_standardized_errors",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "knox",
    "corsheaders",
    "accounts",
    "messaging",
    "commands_app",
    "queries_app",
]

MIDDLEWARE = [
    "messaging.monitoring.health.probes",  # before what looks at Host and scheme
    "messaging.monitoring.metrics.metrics",
    "messaging.monitoring.tallies.count_answers",
    "messaging.monitoring.spans.request_spans",
    "django.middleware.security.SecurityMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "web.throttles.rate_headers",
    "web.middleware.ContentPolicy",
    "web.middleware.no_null_characters",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "messaging.api.short_way.short_way",  # answers for the API; what follows is for pages
    "accounts.sessions.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "web.errors.UnavailableMiddleware",
    "web.middleware.LimitForms",
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
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- databases: `default` is the write side, `read` the read side (messaging/router.py) ------

POOLED = env.switch("POOLED", False)  # a pooler hands sessions on after each transaction
DATABASES = {
    "default": env.database("WRITE_DATABASE_URL", "sqlite:///var/write.sqlite3", pooled=POOLED),
    "read": env.database("READ_DATABASE_URL", "sqlite:///var/read.sqlite3", pooled=POOLED),
}
DATABASE_ROUTERS = ["messaging.router.SplitRouter"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- messaging (messaging/conf.py) ------------------------------------------------------------

RECORD_KEYS = kafka.record_keys()
POSTLOG = {
    "KAFKA": {
        "bootstrap_servers": env.text("KAFKA_BOOTSTRAP_SERVERS"),
        "topic": env.text("KAFKA_TOPIC", "posts.events"),
        "partitions": env.whole_number("KAFKA_PARTITIONS", 12, least=1, most=1_000),
        "replication": env.whole_number("KAFKA_REPLICATION", 0, least=0, most=100),
        "security": kafka.security(),
        "client": env.one_of("KAFKA_CLIENT", kafka.CLIENTS) or kafka.CLIENTS[0],
    },
    "RECORD_KEYS": RECORD_KEYS,
    "SIGN_RECORDS": kafka.signs_records(RECORD_KEYS),
    "LOCK_DATABASE": env.lock_database("LOCK_DATABASE_URL", needed=POOLED),
    "ACTORS": "accounts.actors.AccountActors",
    # After so long without a sign of life of one of its threads a worker ends.
    "WORKER_STALL_SECONDS": env.whole_number("WORKER_STALL_SECONDS", 120, least=1, most=86_400),
    # Events not shown yet, above which it is not ready.
    "MAX_LAG": env.whole_number("MAX_LAG", 10_000, least=0, most=10**9, former="MOST_LAG"),
    "METRICS_TOKEN": env.text("METRICS_TOKEN"),
    "DOCS_URL": env.text("DOCS_URL"),
    "TRACES": env.switch("TRACES", False),
    "WEB_THREADS": env.whole_number("WEB_THREADS", 8, least=1, most=256),
    "IDEMPOTENCY_HOURS": env.whole_number("IDEMPOTENCY_HOURS", 24, least=1, most=24 * 365),
}

# --- limits (web/throttles.py, accounts/login_throttle.py) ------------------------------------

# Requests a minute by one person or address; 0: no limit. On a developer's machine only what has
# gone wild meets it.
API_RATE = env.whole_number("API_RATE", 30_000 if DEBUG else 1_200, least=0, most=10**9)
# The Redis in which all that is limited is counted; without one, each process by itself.
COUNTERS = env.redis("CACHE_URL")

# --- people, time, static files ----------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
SESSION_ENGINE = "accounts.sessions"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True
FORMAT_MODULE_PATH = "config.formats"

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = VAR_DIR / "static"
STATIC_ROOT.mkdir(parents=True, exist_ok=True)  # whitenoise warns where there is none
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = DEBUG
STORAGES: dict[str, dict[str, Any]] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
STATIC_MANIFEST = VAR_DIR / "staticfiles.json"  # not in STATIC_ROOT, where it would be public
if not DEBUG:
    STORAGES["staticfiles"] = {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage",
        "OPTIONS": {"manifest_storage": FileSystemStorage(STATIC_MANIFEST.parent)},
    }

# --- safe by default --------------------------------------------------------------------------

DATA_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024
CSRF_FAILURE_VIEW = "web.returning.expired_form"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "manifest-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG
SECURE_SSL_REDIRECT = not DEBUG
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if not DEBUG else None
SECURE_HSTS_SECONDS = 0 if DEBUG else 365 * 24 * 3600
# Off, for they bind other sites of the domain, and browsers do not forget them for a year.
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.switch("SECURE_HSTS_INCLUDE_SUBDOMAINS", False)
SECURE_HSTS_PRELOAD = env.switch("SECURE_HSTS_PRELOAD", False)
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]  # which ask for these two

# How long a request waits for a lock in PostgreSQL before it is answered with 503; 0: for ever.
LOCK_TIMEOUT_SECONDS = env.whole_number("LOCK_TIMEOUT_SECONDS", 5, least=0, most=3_600)

# How long PostgreSQL works on one query of a web request, then 503; 0: for ever.
READ_TIMEOUT_SECONDS = env.whole_number("READ_TIMEOUT_SECONDS", 10, least=0, most=3_600)

WEB_WORKERS = env.whole_number("WEB_WORKERS", 2, least=1, most=1_024)  # granian's --workers

# --- the API -----------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.TokenAuthentication",  # first: its 401 opens no dialog
        "accounts.authentication.BasicAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PARSER_CLASSES": [
        "messaging.api.parsers.StrictJSONParser",
        "messaging.api.parsers.StrictFormParser",
    ],
    "DEFAULT_RENDERER_CLASSES": [
        "messaging.api.renderers.FastJSONRenderer",
        "messaging.api.renderers.BrowsableRenderer",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["web.throttles.PersonThrottle"],
    "NUM_PROXIES": env.whole_number("TRUSTED_PROXIES", 0, least=0, most=10),
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "drf_standardized_errors.handler.exception_handler",
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
DRF_STANDARDIZED_ERRORS = {
    "EXCEPTION_HANDLER_CLASS": "messaging.api.errors.Handler",
    "ENABLE_IN_DEBUG_FOR_UNHANDLED_EXCEPTIONS": True,
}
# Accounts an hour made from one address; 0: no limit.
SIGN_UP_RATE = env.whole_number("SIGN_UP_RATE", 1_000 if DEBUG else 20, least=0, most=10**9)
CORS_ALLOWED_ORIGINS = env.words("CORS_ALLOWED_ORIGINS")  # none: no other site's pages
CORS_URLS_REGEX = r"^/api/"
CORS_ALLOW_HEADERS = [
    *default_headers, "consistency-token", "idempotency-key", "if-match", "if-none-match",
    "correlation-id", "causation-id", "traceparent",
]  # fmt: skip
CORS_EXPOSE_HEADERS = [
    "Consistency-Token", "ETag", "Location", "Retry-After",
    "Correlation-Id", "Causation-Id", "traceparent",
    "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset",
]  # fmt: skip
REST_KNOX = {
    "TOKEN_TTL": timedelta(days=30),
    "TOKEN_LIMIT_PER_USER": 50,  # accounts/tokens.py
    "EXPIRY_DATETIME_FORMAT": "iso-8601",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Postlog",
    "DESCRIPTION": "Posts in which every change is an event. One endpoint a command, one a query.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": ["messaging.api.constraints.add_domain_constraints"],
    "TAGS": [
        {"name": "commands", "description": "Change something. Each is one transaction."},
        {"name": "queries", "description": "Ask something."},
        {"name": "auth", "description": "Get a token."},
        {"name": "operations", "description": "For staff: of the read side, no events."},
    ],
    "EXTERNAL_DOCS": {"url": "/api/v1/errors/", "description": "What each error code means"},
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

LOG_LEVEL = env.one_of("LOG_LEVEL", logs.LEVELS) or "INFO"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "filters": {"one line": {"()": "django.utils.log.CallbackFilter", "callback": logs.one_line}},
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": "line",
            "filters": ["one line"],
        }
    },
    # Kafka's client alone would say thousands of lines a second at DEBUG.
    "root": {"handlers": ["console"], "level": logs.at_least("WARNING", LOG_LEVEL)},
    "loggers": {
        "postlog": {"level": LOG_LEVEL},
        # With DEBUG on, its own handlers would write each line once more.
        "django": {"handlers": [], "level": logs.at_least("INFO", LOG_LEVEL)},
    },
}

env.refuse_problems()
