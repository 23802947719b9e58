"""The networks that score steps, and how they are opened and saved."""
