"""What can be wrong with a document, and how it is told: to people with the line and a caret, to programs as JSON."""

from typing import Any

from msgspec import Struct, structs

CODES = {
    "FGW1001": "The file cannot be read, or is too large.",
    "FGW1002": "The document is not UTF-8 text, or holds a character that a document may not hold.",
    "FGW1003": "The document is not well-formed YAML, JSON or TOML.",
    "FGW1004": "A key is written twice in one mapping.",
    "FGW1005": "A YAML feature that configurations do not use: tags, several documents, mappings as keys.",
    "FGW1006": "The document is nested too deeply, or its aliases expand to too much.",
    "FGW1007": "An alias without its anchor, an alias inside its own anchor, or a merge key without a mapping.",
    "FGW1010": "`${VAR}` names a variable that is not set.",
    "FGW1011": "`${file:path}` names a file that cannot be used.",
    "FGW1012": "A `${` that is not `${VAR}`, `${VAR:-default}` or `${file:path}`.",
    "FGW1101": "An unknown key.",
    "FGW1102": "A required key is missing.",
    "FGW1103": "A value of the wrong type.",
    "FGW1104": "A value that is not one of the allowed words.",
    "FGW1105": "A number, duration, size or rate outside its range, or a list or mapping that may not be empty.",
    "FGW1106": "A malformed duration, size or rate.",
    "FGW1107": "A mapping that must have exactly one key.",
    "FGW1108": "A malformed name of a listener, upstream, route or limit.",
    "FGW1201": "A reference to a listener or upstream that does not exist.",
    "FGW1202": "Two listeners want the same address.",
    "FGW1203": "A malformed address.",
    "FGW1204": "A malformed network.",
    "FGW1205": "A malformed path, or one that no normalised request can have.",
    "FGW1206": "A malformed path pattern.",
    "FGW1207": "A malformed template, or an unknown variable in one.",
    "FGW1208": "A malformed header field name or value.",
    "FGW1209": "A header field that the gateway alone may write.",
    "FGW1210": "A malformed host pattern.",
    "FGW1211": "A malformed method.",
    "FGW1212": "Options that contradict each other.",
    "FGW1213": "A route that leads nowhere.",
    "FGW1214": "A malformed key or cost of a limit, or one that its route does not have.",
    "FGW1215": "A malformed name of a plugin, or of a folder of plugins.",
    "FGW1216": "A plugin that cannot be loaded.",
    "FGW1217": "Settings that their plugin does not take.",
    "FGW1218": "A regex of a route that does not compile, is too long, or one of too many.",
    "FGW1220": "A malformed name of a user or group.",
    "FGW1221": "A certificate, a key, or TLS rules that cannot be used.",
    "FGW1301": "The configuration is well formed, but larger than a snapshot can hold.",
    "FGW1901": "Warning: two routes match the same requests.",
    "FGW1902": "Warning: something that is never reached or never used.",
    "FGW1903": "Warning: a setting that is probably not meant so.",
    "FGW1904": "Warning: a certificate that has expired, soon will, or is not valid yet.",
}
"""Every code and what it stands for. A code is never reused for another meaning."""


class Problem(Struct, frozen=True, kw_only=True):
    """One finding. Lines and columns count characters from 1; line 0: the file as a whole."""

    code: str
    file: str
    line: int
    column: int
    path: str
    message: str
    expected: str = ""
    hint: str = ""
    excerpt: str = ""
    length: int = 1

    def render(self) -> str:
        """The problem as text: place, code, path and message; then the line with a caret; then what was expected."""
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        where = f" {self.path}:" if self.path else ""
        rows = [f"{place}: {self.code}{where} {self.message}"]
        if self.excerpt:
            number = f"{self.line:>5}"
            rows += [f"{number} | {self.excerpt}", f"{' ' * len(number)} | {self._caret()}"]
        if self.expected:
            rows.append(f"      expected: {self.expected}")
        if self.hint:
            rows.append(f"      hint: {self.hint}")
        return "\n".join(rows)

    def _caret(self) -> str:
        """Spaces (tabs kept, so that it lines up in a terminal) and carets under the excerpt."""
        lead = "".join("\t" if char == "\t" else " " for char in self.excerpt[: self.column - 1])
        return lead + "^" * max(1, min(self.length, len(self.excerpt) - self.column + 1))

    def to_dict(self) -> dict[str, Any]:
        """The problem as plain data, without the excerpt."""
        data = structs.asdict(self)
        del data["excerpt"], data["length"]
        return data


class Fault(Exception):
    """Why one value is refused, before its place is known. `offset` is where in the value, counted in characters."""

    def __init__(self, code: str, message: str, *, expected: str = "", hint: str = "", offset: int | None = None,
                 length: int = 1) -> None:  # fmt: skip
        super().__init__(message)
        self.code, self.message, self.expected, self.hint = code, message, expected, hint
        self.offset, self.length = offset, length
