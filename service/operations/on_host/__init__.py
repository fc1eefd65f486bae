"""What verbs share that work on a host: domain specs, hot-plug, VNC passwords."""
