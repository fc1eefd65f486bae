"""The database engine: SQLite or PostgreSQL, transactions, migrations, dumps."""
