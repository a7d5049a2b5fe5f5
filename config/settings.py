"""Settings: everything that differs between machines comes from the environment (or a ``.env`` file).

``docs/configuration.md`` lists the variables. Without any of them a checkout runs in development:
SQLite under ``var/``, secrets made on first use. With ``DEBUG=False`` the secrets are required.
"""

import sys
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import environ
import structlog
from csp.constants import NONE, SELF

from config.development import read_or_make_secrets
from config.passkeys import passkey_origin

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", default=False)
TESTING = "pytest" in sys.modules
PRODUCTION = not (DEBUG or TESTING)

# Secrets
_development = read_or_make_secrets(VAR_DIR / "development-secrets.env") if not PRODUCTION else {}
SECRET_KEY = env.str("SECRET_KEY", default=_development.get("SECRET_KEY", ""))
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
# Newest first; the first wraps, all unwrap. Fernet keys, apart from SECRET_KEY on purpose.
PITHEAD_MASTER_KEYS = env.list(
    "PITHEAD_MASTER_KEYS", default=[key for key in [_development.get("PITHEAD_MASTER_KEYS")] if key]
)

# Pithead
PITHEAD_KEY_PREFIX = env.str("PITHEAD_KEY_PREFIX", default="ph")
PITHEAD_PUBLIC_URL = env.str("PITHEAD_PUBLIC_URL", default="http://127.0.0.1:8000").rstrip("/")
# How many proxies in front are ours: 0 believes the socket's address alone.
PITHEAD_TRUSTED_PROXIES = env.int("PITHEAD_TRUSTED_PROXIES", default=0)
# Production pays real coins alone; the other environments take addresses of test networks as well.
PITHEAD_TEST_COINS_IN_PRODUCTION = env.bool("PITHEAD_TEST_COINS_IN_PRODUCTION", default=DEBUG)

# The request log: how often the process writes what it noted, and how long a request is kept
PITHEAD_REQUEST_LOG_SECONDS = env.float("PITHEAD_REQUEST_LOG_SECONDS", default=2.0)
PITHEAD_REQUEST_LOG_DAYS = env.int("PITHEAD_REQUEST_LOG_DAYS", default=30)
# Tests say when it is written; a thread of its own would meet the databases that they make and empty.
PITHEAD_REQUEST_LOG_THREAD = not TESTING
# How long a request waits for Redis, once, before its process limits rates for itself
PITHEAD_REDIS_WAIT_SECONDS = env.float("PITHEAD_REDIS_WAIT_SECONDS", default=0.09)
# How long a support key that was verified, which is slow, need not be verified again
PITHEAD_SUPPORT_KEY_SECONDS = env.int("PITHEAD_SUPPORT_KEY_SECONDS", default=300)
# Masks what looks like a secret in a text: where staff say why, what it would change is refused
PITHEAD_REDACT = "apikeys.redaction.redact"
# So many wrong, unknown or malformed keys a minute, and an address or a selector is refused unseen; 0: no limit
PITHEAD_FAILED_ATTEMPTS_PER_ADDRESS = env.int("PITHEAD_FAILED_ATTEMPTS_PER_ADDRESS", default=60)
PITHEAD_FAILED_ATTEMPTS_PER_SELECTOR = env.int("PITHEAD_FAILED_ATTEMPTS_PER_SELECTOR", default=20)
# What /readyz tells beside the database: name -> function
PITHEAD_READY_REPORTS = {"rate_limits": "apikeys.rate_limits.report"}
# What was stopped, remembered outside the database, so that a restore that undoes it is found. Empty: it is not kept.
PITHEAD_STOPS_FILE = env.str("PITHEAD_STOPS_FILE", default="" if TESTING else str(VAR_DIR / "stops.ndjson"))
# Who may read /metrics: whoever sends this as a bearer token. Empty: nobody.
PITHEAD_METRICS_TOKEN = env.str("PITHEAD_METRICS_TOKEN", default="")
# Whose signatures reports of leaked keys bear
PITHEAD_GITHUB_KEYS_URL = env.str(
    "PITHEAD_GITHUB_KEYS_URL", default="https://api.github.com/meta/public_keys/secret_scanning"
)

# Applications
INSTALLED_APPS = [
    "accounts",
    "entities",
    "apikeys",
    "config.admin.PitheadAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp_webauthn",
    "axes",
    "csp",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "apikeys.middleware.ApiMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "accounts.middleware.StepUpSessionMiddleware",
    "accounts.locale.PersonsLocaleMiddleware",
    "apikeys.middleware.MisplacedSecretMiddleware",
    "accounts.middleware.VerifiedLoginRequiredMiddleware",
    "accounts.middleware.remember_account",
    "accounts.middleware.explain_not_allowed",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

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
                "accounts.context_processors.shell",
            ],
            "builtins": ["accounts.templatetags.pithead"],
        },
    }
]

# Database: SQLite for one process with threads, PostgreSQL for any number of workers
DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'pithead.sqlite3'}")}
_database = DATABASES["default"]
# Each thread keeps its connection: opening a file anew, or fetching one from a pool, costs as much as the one SELECT.
_database["CONN_MAX_AGE"] = None
if _database["ENGINE"].endswith("sqlite3"):
    VAR_DIR.mkdir(mode=0o700, exist_ok=True)  # second-factor seeds lie in there
    _database["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
    }
    # Threads share a test database only when it is a file.
    _database["TEST"] = {"NAME": str(VAR_DIR / "test.sqlite3")}
else:
    # Pages ask a kept connection whether it still works; requests with keys notice it by their one SELECT.
    _database["CONN_HEALTH_CHECKS"] = True
    _database["OPTIONS"] = {
        "connect_timeout": 3,
        # A server that vanishes without a word: what is sent to it fails after so many ms, and what waits for it within
        # twenty seconds. libpq would wait for minutes, and for hours.
        "tcp_user_timeout": 3_000,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 2,
        # Our one fixed SELECT is prepared once per connection; Django's own queries bind on the client.
        "prepare_threshold": 2,
    }

# Redis holds limits and events in production, never the truth
REDIS_URL = env.str("REDIS_URL", default="")
CACHES = {
    "default": (
        {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": REDIS_URL,
            # A Redis that hangs costs its callers half a second, not forever.
            "OPTIONS": {"socket_connect_timeout": 0.5, "socket_timeout": 0.5},
        }
        if REDIS_URL
        else {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}
    )
}

# People: password, then a second factor
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "accounts:sign-in"
LOGIN_REDIRECT_URL = "web:home"
OTP_LOGIN_URL = LOGIN_URL
OTP_TOTP_ISSUER = "Pithead"
# Learning a device's drift would let whoever overheard a code step ahead of its owner.
OTP_TOTP_SYNC = False
OTP_ADMIN_HIDE_SENSITIVE_DATA = True
# Wrong passwords are counted in the database, for all workers, per address of the person and of the network together:
# a stranger elsewhere locks nobody out. Nothing in it tells whether anybody has the address.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_FAILURE_LIMIT = env.int("PITHEAD_SIGN_IN_FAILURES", default=10)
AXES_COOLOFF_TIME = timedelta(minutes=env.int("PITHEAD_SIGN_IN_LOCK_MINUTES", default=15))
AXES_USERNAME_FORM_FIELD = "username"  # as authenticate() calls it, whatever the form does
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "accounts.client_ip.client_network"
AXES_LOCKOUT_CALLABLE = "accounts.views.sign_in.locked_out"
AXES_SENSITIVE_PARAMETERS = [
    *("username", "ip_address", "email", "next", "csrfmiddlewaretoken", "nonce", "code"),
    *("current_password", "new_password", "new_password_again"),
]
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
PASSWORD_RESET_TIMEOUT = 3600
# Passkeys are a second factor, never a way in without the password. Browsers bind them to a name, over HTTPS or on
# localhost: never to an address. Another name later makes all of them useless.
OTP_WEBAUTHN_ALLOW_PASSWORDLESS_LOGIN = False
OTP_WEBAUTHN_RP_NAME = "Pithead"
_origin = passkey_origin(PITHEAD_PUBLIC_URL)
OTP_WEBAUTHN_RP_ID = env.str("PITHEAD_PASSKEY_DOMAIN", default=urlsplit(_origin).hostname)
OTP_WEBAUTHN_ALLOWED_ORIGINS = env.list("PITHEAD_PASSKEY_ORIGINS", default=[_origin])
OTP_WEBAUTHN_EXCEPTION_LOGGER_NAME = ""  # a passkey that is refused is an answer, not an error
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

# Browser
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
CSRF_FAILURE_VIEW = "accounts.views.errors.csrf_failure"
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.bool("SECURE_COOKIES", default=PRODUCTION)
SESSION_COOKIE_NAME = "__Host-pithead" if SESSION_COOKIE_SECURE else "pithead"
CSRF_COOKIE_HTTPONLY = True
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=PRODUCTION)
# Probes come from inside, over plain HTTP.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000 if PRODUCTION else 0)
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE_HSTS_SECONDS > 0
if PITHEAD_TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# Pool data API
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["apikeys.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["apikeys.permissions.GrantPermission"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["apikeys.parsers.JsonParser", "apikeys.parsers.FormParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "apikeys.negotiation.JsonNegotiation",
    "EXCEPTION_HANDLER": "apikeys.misplaced.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_METADATA_CLASS": None,
    "COERCE_DECIMAL_TO_STRING": True,
    "DEFAULT_SCHEMA_CLASS": "apikeys.openapi.ApiSchema",
}
SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "Pithead pool API",
    "VERSION": "1",
    "DESCRIPTION": "Miners, hubs and pools of a mining account, by API key. Lists come in pages: follow `page.next`.",
    "SCHEMA_PATH_PREFIX": r"/api/v1",
    "SCHEMA_PATH_PREFIX_TRIM": True,
    "SORT_OPERATION_PARAMETERS": False,
    "PREPROCESSING_HOOKS": ["apikeys.openapi.only_one_mount"],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "apikeys.openapi.add_examples",
    ],
    "ENUM_NAME_OVERRIDES": {
        "Environment": "accounts.environments.Environment",
        "Permission": "accounts.access_levels.PERMISSIONS",
        "PaymentType": "entities.payments.TYPES",
        "KeyStatus": "apikeys.api.keys_serializers.STATUSES",
        "StatusEnum": "entities.querysets.WORKER_STATUSES",  # as it was named when it was alone
        "Real": [("real", "real")],
    },
}
# What the ingest routes take; every other route takes DEFAULT_PARSER_CLASSES
PITHEAD_INGEST_PARSERS = ["apikeys.parsers.JsonParser", "apikeys.parsers.NdjsonParser", "apikeys.parsers.CsvParser"]
# One mount of the pool data API per environment: its URL prefix
PITHEAD_API_MOUNTS = {
    "production": "api/v1/",
    "staging": "staging/api/v1/",
    "development": "development/api/v1/",
}

# Mail: printed in development
_mail = env.email("EMAIL_URL", default="smtp://localhost:25" if PRODUCTION else "consolemail://")
EMAIL_BACKEND, EMAIL_HOST, EMAIL_PORT = _mail["EMAIL_BACKEND"], _mail["EMAIL_HOST"], _mail["EMAIL_PORT"]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_USER"], _mail["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS, EMAIL_USE_SSL = _mail.get("EMAIL_USE_TLS", False), _mail.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 5
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Pithead <pithead@localhost>")

# Language and time
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("ru", "Русский")]
LOCALE_PATHS = [BASE_DIR / "locale"]
USE_I18N = True
LANGUAGE_COOKIE_SECURE = SESSION_COOKIE_SECURE
LANGUAGE_COOKIE_HTTPONLY = True
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_AGE = 365 * 86400
TIME_ZONE = "UTC"
USE_TZ = True
USE_THOUSAND_SEPARATOR = True

# Static files, hashed and compressed
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
if not PRODUCTION:
    STATIC_ROOT.mkdir(exist_ok=True)  # empty: the finders serve, and WhiteNoise warns of a folder that is missing
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not PRODUCTION

# Logs: structured, one line per event, no query strings and no headers
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processor": structlog.dev.ConsoleRenderer(colors=False) if DEBUG else structlog.processors.JSONRenderer(),
            "foreign_pre_chain": [
                structlog.processors.TimeStamper(fmt="iso"),
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
            ],
        }
    },
    "filters": {"redact": {"()": "apikeys.redaction.RedactKeys"}},
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["redact"]},
        "null": {"class": "logging.NullHandler"},
    },
    "root": {"handlers": ["stderr"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django": {"handlers": [], "level": "INFO", "propagate": True},
        # A refusal (4xx) is an answer, and writing a line about it cost more than giving it. 5xx are logged.
        "django.request": {"handlers": [], "level": "ERROR", "propagate": True},
        "django.server": {"handlers": [], "level": "WARNING", "propagate": True},
        "axes": {"handlers": [], "level": "ERROR", "propagate": True},
    },
}
