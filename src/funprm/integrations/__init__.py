"""Rewards for trainers of policies, and adapters for tools of others: a module for each."""
