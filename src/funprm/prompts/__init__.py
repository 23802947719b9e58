"""Problems to prompts, and answers to programs."""

from funprm.prompts.answers import extract_code
from funprm.prompts.chats import (
    DIRECTIVES,
    PLACEHOLDERS,
    STYLES,
    Role,
    Turn,
    answer_prefix,
    as_text,
    build_chat,
    build_prompt,
    chats_of,
    example_names,
    prompt_identity,
    question_key,
    render_statement,
)
from funprm.prompts.texts import TEMPLATES

__all__ = [
    "DIRECTIVES",
    "PLACEHOLDERS",
    "STYLES",
    "TEMPLATES",
    "Role",
    "Turn",
    "answer_prefix",
    "as_text",
    "build_chat",
    "build_prompt",
    "chats_of",
    "example_names",
    "extract_code",
    "prompt_identity",
    "question_key",
    "render_statement",
]
