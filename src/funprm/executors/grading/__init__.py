"""What tests say of a program: pure. Expected outputs live here only."""
