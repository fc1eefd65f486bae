"""Backup, restore, and cancelling and purging of jobs."""
