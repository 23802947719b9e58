"""LiveCodeBench's packed tests: base64 of zlib of a pickled text of JSON.

A pickle can run any code when it is loaded. So it is not loaded: its instructions are read, and
only those are accepted that make one text.
"""

import base64
import binascii
import io
import pickletools
import zlib

from funprm.errors import DataError

MAX_BYTES = 4 << 30
"""Limit of the unpacked tests of one problem."""

_TEXT = {"BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE"}
_FRAMING = {"PROTO", "FRAME", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "STOP"}


def unpack_text(packed: str, where: str, max_bytes: int = MAX_BYTES) -> str:
    """The text in a packed value.

    Args:
        packed: base64 of zlib of the pickle of a `str`.
        where: the value's place, for error messages.
        max_bytes: limit of the unpacked size.

    Raises:
        DataError: it is not such a value, holds anything but one text, or is too large.
    """
    try:
        unpacker = zlib.decompressobj()
        pickled = unpacker.decompress(base64.b64decode(packed, validate=True), max_bytes)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise DataError(
            f"{where}: neither JSON nor base64 of zlib data ({error}); fetch the file again"
        ) from error
    if not unpacker.eof:
        raise DataError(
            f"{where}: cut off, or larger than {max_bytes} bytes unpacked; fetch the file again"
        )
    return _pickled_text(pickled, where)


def _pickled_text(pickled: bytes, where: str) -> str:
    texts: list[str] = []
    try:
        for instruction, argument, _ in pickletools.genops(io.BytesIO(pickled)):
            if instruction.name in _TEXT and not texts:
                texts.append(str(argument))
            elif instruction.name not in _FRAMING:
                raise DataError(
                    f"{where}: a pickle with the instruction {instruction.name}: expected one "
                    "text and nothing else; do not trust this file"
                )
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{where}: a damaged pickle ({error}); fetch the file again") from error
    if not texts:
        raise DataError(f"{where}: a pickle without a text: expected JSON in a text")
    return texts[0]
