"""Policies: what writes and continues programs (`interfaces.Policy`)."""
