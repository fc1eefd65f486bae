"""What can be done with images: one verb per file, and what these files share."""
