"""VMs: one verb per file."""
