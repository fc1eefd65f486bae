"""HTTP on sockets by gunicorn, independent of the application."""
