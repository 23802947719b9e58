"""The laboratory: rewards are corrupted in known ways, truth is measured, and methods compared."""
