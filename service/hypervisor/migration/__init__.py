"""Live migration: flags, target XML, hand-over, and the verdict from both hosts."""
