"""What PostgreSQL and SQLite, and psycopg 2 and 3, do differently."""
