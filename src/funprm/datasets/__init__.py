"""Problems: LiveCodeBench, BigCodeBench, HumanEval, MBPP, LeetCode, the generated benchmark, own files."""
