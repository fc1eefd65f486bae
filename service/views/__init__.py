"""Rows as JSON values: what people see of each kind of object, by noun."""
