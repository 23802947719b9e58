"""Answers to programs: what the last Markdown code block of a policy's answer holds."""

import re
from dataclasses import dataclass


def extract_code(text: str) -> str:
    r"""The program in a policy's answer: what the last Markdown code block holds.

    The rule is LiveCodeBench's (between the last pair of fences), made tolerant: `~~~` fences,
    language tags, indented fences, Windows line ends, a fence glued to the last line. A block
    that was never closed (an answer cut off in the middle) reaches to the end of the text. Text
    without a fence is returned as it is, less reasoning that ends in `</think>`.

    >>> extract_code("So:\n```python\nprint(1)\n```\nDone.")
    'print(1)\n'
    >>> extract_code("print(1)\n")
    'print(1)\n'
    """
    reasoning, end, answer = text.rpartition("</think>")
    if end and (answer.strip() or not reasoning.strip()):
        text = answer.lstrip("\r\n")
    blocks = [block for block in _blocks(text) if block.strip()]
    return blocks[-1] if blocks else text


@dataclass(frozen=True, slots=True)
class _Fence:
    mark: str
    """The fence's characters, three or more."""
    info: str
    """The language tag; empty for a fence that can only close a block."""
    indent: int = 0

    def closes(self, opened: "_Fence") -> bool:
        """Whether this fence ends the block (a longer fence protects shorter ones)."""
        return self.mark.startswith(opened.mark)

    def opens(self, opened: "_Fence | None") -> bool:
        """Whether a block starts here: inside an unclosed one, only after a language tag."""
        return opened is None or bool(re.fullmatch(r"[\w+#.-]+", self.info))


_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
_FENCE_AFTER_PROSE = re.compile(r"[^`]+?(`{3,})([\w+#-]*)")
_FENCE_AFTER_CODE = re.compile(r"""([^`]*[^`\s#"'])(`{3,})""")
_TOP_LEVEL_CODE = re.compile(r"^(async def|def|class|import|from) ", re.MULTILINE)
_INDENT_OF_PROSE = 3
"""Beyond this a fence is indented code (CommonMark): it may stand in a program's docstring."""


def _blocks(text: str) -> list[str]:
    """The contents of all code blocks, in order; the last one may be unclosed."""
    lines = re.split(r"(?<=\n)", text)
    blocks = _scan_blocks(lines, _INDENT_OF_PROSE)
    if not blocks and not _TOP_LEVEL_CODE.search(text):
        blocks = _scan_blocks(lines, len(text))
    return blocks


def _scan_blocks(lines: list[str], max_indent: int) -> list[str]:
    blocks: list[str] = []
    opened: _Fence | None = None
    content: list[str] = []
    for line in lines:
        rest, fence = _split_fence(line, opened, max_indent)
        if opened is not None and (fence is None or not fence.closes(opened)):
            content.append(_dedent(line, opened.indent))
        elif fence is not None:
            if opened is not None:
                blocks.append("".join([*content, _dedent(rest, opened.indent)]))
            opened = fence if fence.opens(opened) else None
            content = []
    if opened is not None:
        blocks.append(_without_glued_fence("".join(content), opened.mark))
    return blocks


def _split_fence(line: str, opened: _Fence | None, max_indent: int) -> tuple[str, _Fence | None]:
    """What stands before the fence of this line, and the fence, if it has one."""
    text = line.rstrip()
    if match := _FENCE.match(text):
        info = text[match.end() :].strip()
        if match.start(1) <= max_indent and "`" not in info:
            return "", _Fence(match[1], info, match.start(1))
    elif "```" not in text:
        return line, None
    elif opened is None and (match := _FENCE_AFTER_PROSE.fullmatch(text)):
        return match[0], _Fence(match[1], match[2])
    elif opened is not None and (match := _FENCE_AFTER_CODE.fullmatch(text)):
        return match[1], _Fence(match[2], "")
    return line, None


def _dedent(line: str, indent: int) -> str:
    """The line without the indentation that its block's opening fence has."""
    margin = line[:indent]
    return line[len(margin) - len(margin.lstrip(" \t")) :]


def _without_glued_fence(block: str, mark: str) -> str:
    """An unclosed block, less a closing fence written at the end of its last line."""
    stripped = block.rstrip()
    return stripped.removesuffix(mark) if stripped.endswith(mark) else block
