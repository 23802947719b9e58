"""What runs in the sandbox: standard library only."""
