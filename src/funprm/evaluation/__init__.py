"""Which program is chosen, and how sure that is: pure."""
