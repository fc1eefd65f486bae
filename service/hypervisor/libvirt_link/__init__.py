"""Connections to libvirtd: TLS, deadlines, events, reachability, values."""
