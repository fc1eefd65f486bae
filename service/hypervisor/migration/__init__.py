"""Live migration: flags, target XML, hand-over, and the verdict by looking at both hosts."""
