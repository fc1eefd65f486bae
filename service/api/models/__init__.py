"""What goes over the wire, by topic: bodies and queries that are read strictly, and the models of what is answered."""
