"""Where programs come from: local models, OpenAI-compatible servers, recorded files."""
