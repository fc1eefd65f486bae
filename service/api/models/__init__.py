"""Models of request bodies, queries and responses, by topic."""
