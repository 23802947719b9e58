"""Judges of untrusted programs."""
