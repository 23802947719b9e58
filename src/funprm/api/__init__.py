"""The verbs of the front door: defaults for all that is not data; the work is done elsewhere.

Every verb is a function that works in a notebook: it shows no progress unless asked, and returns
what prints itself. The command line calls the same functions. `progress` is False (nothing), True
(bars on a terminal, else lines), or an `interfaces.Progress` of one's own.
"""
