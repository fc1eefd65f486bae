"""Back-up, restore, and jobs that are cancelled or purged."""
