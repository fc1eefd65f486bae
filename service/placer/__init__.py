"""Live state for decisions: the table of hosts, the journal of facts, claims."""
