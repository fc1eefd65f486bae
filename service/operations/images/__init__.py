"""Images: one verb per file, and their shared code."""
