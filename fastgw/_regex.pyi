PATTERN_MAX: int
PATTERNS_MAX: int

class BadRegex(ValueError):
    offset: int

class Regex:
    names: tuple[str, ...]
    first: str
    def __init__(self, pattern: str) -> None: ...
    def match(self, path: str) -> tuple[str, ...] | None: ...
