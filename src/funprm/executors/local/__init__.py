"""The host: workers started, jobs dispatched, verdicts made."""
