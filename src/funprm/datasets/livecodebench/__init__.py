"""LiveCodeBench (arXiv 2403.07974): problems of programming contests, dated."""
