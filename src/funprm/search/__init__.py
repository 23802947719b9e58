"""Generation guided by step scores: what has not been written yet is decided by what has."""
