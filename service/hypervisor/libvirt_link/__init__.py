"""Connections to libvirtd: TLS, deadlines, events, reachability, and what libvirt reports as plain values."""
