"""HTTP: best-of-N behind the protocols of OpenAI and Anthropic, scores, and the judge."""
