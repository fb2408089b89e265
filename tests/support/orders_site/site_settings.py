"""A project that uses messaging and sets what it must, and nothing else."""

SECRET_KEY = "x" * 40
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["messaging", "orders"]
SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "OPTIONS": {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"},
}
DATABASES = {
    "default": {**SQLITE, "NAME": "write.sqlite3", "TEST": {"NAME": "test-write.sqlite3"}},
    "read": {**SQLITE, "NAME": "read.sqlite3", "TEST": {"NAME": "test-read.sqlite3"}},
}
DATABASE_ROUTERS = ["messaging.router.SplitRouter"]
