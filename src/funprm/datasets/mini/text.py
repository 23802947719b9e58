"""The operations on text, and its reducers."""

from funprm.datasets.mini.operations import Family, Operation, variant

_VOWELS = "aeiouAEIOU"


TEXT_OPERATIONS = (
    Operation(
        "mirror",
        "Turn the text round.",
        ("Reverse the text", "Put the characters in the opposite order"),
        (
            variant("s[::-1]", lambda s, n: s[::-1]),
            variant('"".join(reversed(s))', lambda s, n: s[::-1]),
        ),
        (variant('" ".join(s.split()[::-1])', lambda s, n: " ".join(s.split()[::-1])),),
    ),
    Operation(
        "consonants",
        "Remove the vowels.",
        ("Drop all vowels, small and capital", "Delete every a, e, i, o, u in either case"),
        (
            variant(
                '"".join(c for c in s if c not in "aeiouAEIOU")',
                lambda s, n: "".join(c for c in s if c not in _VOWELS),
            ),
        ),
        (
            variant(
                '"".join(c for c in s if c not in "aeiou")',
                lambda s, n: "".join(c for c in s if c not in "aeiou"),
            ),
        ),
    ),
    Operation(
        "letters",
        "Keep nothing but letters.",
        ("Keep only the letters", "Remove whatever is no letter"),
        (
            variant(
                '"".join(c for c in s if c.isalpha())',
                lambda s, n: "".join(c for c in s if c.isalpha()),
            ),
        ),
        (
            variant(
                '"".join(c for c in s if c.isalnum())',
                lambda s, n: "".join(c for c in s if c.isalnum()),
            ),
            variant(
                '"".join(c for c in s if c.islower())',
                lambda s, n: "".join(c for c in s if c.islower()),
            ),
        ),
    ),
    Operation(
        "compact",
        "Close the gaps.",
        ("Delete all spaces", "Close the gaps between words"),
        (
            variant('s.replace(" ", "")', lambda s, n: s.replace(" ", "")),
            variant('"".join(s.split())', lambda s, n: "".join(s.split())),
        ),
        (variant("s.strip()", lambda s, n: s.strip()),),
    ),
    Operation(
        "swap",
        "Swap small and capital.",
        ("Swap small and capital letters", "Change the case of every letter"),
        (variant("s.swapcase()", lambda s, n: s.swapcase()),),
        (
            variant("s.upper()", lambda s, n: s.upper()),
            variant("s.lower()", lambda s, n: s.lower()),
        ),
    ),
    Operation(
        "start",
        "Cut off all but the beginning.",
        ("Keep the first {n} characters", "Take only {n} characters from the front"),
        (variant("s[:{n}]", lambda s, n: s[:n]),),
        (variant("s[:{n} - 1]", lambda s, n: s[: n - 1]), variant("s[1:{n}]", lambda s, n: s[1:n])),
        (5, 6, 7, 8, 9),
    ),
    Operation(
        "thin",
        "Keep every second character.",
        ("Keep every second character, beginning with the first", "Keep what is at even indices"),
        (variant("s[::2]", lambda s, n: s[::2]),),
        (variant("s[1::2]", lambda s, n: s[1::2]),),
    ),
    Operation(
        "stretch",
        "Repeat the characters.",
        ("Write every character {n} times in a row", "Repeat each character {n} times"),
        (variant('"".join(c * {n} for c in s)', lambda s, n: "".join(c * n for c in s)),),
        (variant("s * {n}", lambda s, n: s * n),),
        (2, 3, 4),
    ),
)
"""All operations text → text."""

TEXT_REDUCERS = (
    Operation(
        "length",
        "Count the characters.",
        ("Return the number of characters", "Return the length"),
        (variant("len(s)", lambda s, n: len(s)), variant("sum(1 for c in s)", lambda s, n: len(s))),
        (
            variant("len(s.strip())", lambda s, n: len(s.strip())),
            variant("len(set(s))", lambda s, n: len(set(s))),
        ),
    ),
    Operation(
        "vowels",
        "Count the vowels.",
        (
            "Return the number of vowels, small or capital",
            "Return how often a, e, i, o, u occur in either case",
        ),
        (
            variant('sum(c in "aeiouAEIOU" for c in s)', lambda s, n: sum(c in _VOWELS for c in s)),
            variant(
                'sum(c.lower() in "aeiou" for c in s)', lambda s, n: sum(c in _VOWELS for c in s)
            ),
        ),
        (variant('sum(c in "aeiou" for c in s)', lambda s, n: sum(c in "aeiou" for c in s)),),
    ),
    Operation(
        "words",
        "Count the words.",
        ("Return the number of words", "Return how many words there are"),
        (variant("len(s.split())", lambda s, n: len(s.split())),),
        (
            variant('s.count(" ") + 1', lambda s, n: s.count(" ") + 1),
            variant('s.count(" ")', lambda s, n: s.count(" ")),
        ),
    ),
    Operation(
        "capitals",
        "Count the capital letters.",
        ("Return the number of capital letters", "Return how many letters are in upper case"),
        (variant("sum(c.isupper() for c in s)", lambda s, n: sum(c.isupper() for c in s)),),
        (
            variant("sum(c == c.upper() for c in s)", lambda s, n: sum(c == c.upper() for c in s)),
            variant("sum(c.islower() for c in s)", lambda s, n: sum(c.islower() for c in s)),
        ),
    ),
)
"""All operations text → integer."""

TEXT = Family(
    argument="s",
    openings=("Given is a text s", "Write solve for a text s", "Start from the text s"),
    operations=TEXT_OPERATIONS,
    reducers=TEXT_REDUCERS,
)
"""Problems about text."""
