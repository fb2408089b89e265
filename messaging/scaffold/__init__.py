"""What `manage.py startaggregate` writes: a first slice of a domain, from commands to queries."""
