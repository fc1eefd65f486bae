"""Handlers by noun: a Call in, a Reply, a Stream or an accepted job out."""
