"""Policies: what writes and continues programs (entry-point group `funprm.policies`)."""
