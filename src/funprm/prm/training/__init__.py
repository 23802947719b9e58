"""Training: phases, steps, validation, curves; several models side by side."""
