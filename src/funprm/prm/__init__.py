"""The process reward model: rendering, training, correction of rewards, scoring."""
