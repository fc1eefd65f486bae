"""The database itself: SQLite or PostgreSQL, connections, transactions, prepared statements, migrations, dumps."""
