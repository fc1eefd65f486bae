"""Users, tokens, logins and projects."""
