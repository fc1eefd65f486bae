"""JSON over Bottle: parse → operation or query → serialise."""
