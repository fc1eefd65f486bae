"""Users, tokens, log-ins and projects."""
