"""Where a VM shall run. Pure: facts in, a decision with its explanation out. No clock, no database, no network."""
