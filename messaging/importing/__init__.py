"""A history from another system, stored as it happened: `manage.py importevents`."""
