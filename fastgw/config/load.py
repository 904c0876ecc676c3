"""Documents to configurations: `load(path)`, `loads(text)`. One call tells everything that is wrong."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fastgw.errors import ConfigErrors

from . import json_marks, toml_marks, yaml_marks
from .convert import Converter
from .dump import Redactor, effective
from .expand import Expander, Signature, read_regular
from .model import Config
from .nodes import MAX_BYTES, SECRET, Node, Unreadable, is_secret
from .problem import Fault, Problem

Format = Literal["yaml", "json", "toml"]
_PARSE = {"yaml": yaml_marks.parse, "json": json_marks.parse, "toml": toml_marks.parse}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A sound configuration and where it came from.

    source_hash  hex SHA-256 over the text and everything its references were replaced with
    marks        the line and column of every value that is written, by its path: "routes.users.match.prefix"
    keys         the same of keys in plugins' settings
    text         the document as it was read, references and all: what may be kept on disk
    base         the folder that relative paths in it begin at
    references   the reference of every value that came through one, by its path
    files        PEM files that were read: absolute path → mtime in ns, size, inode
    redactor     for texts about this configuration: it puts references in the place of what they stand for
    """

    config: Config
    warnings: list[Problem]
    source_hash: str
    marks: dict[str, tuple[int, int]]
    keys: dict[str, tuple[int, int]]
    name: str
    text: str
    format: Format
    base: Path
    tree: Node = field(repr=False)
    references: dict[str, str] = field(repr=False)
    files: dict[str, Signature] = field(repr=False)
    redactor: Redactor = field(repr=False)

    def effective(self) -> dict[str, Any]:
        """The whole configuration with its defaults as plain data, with references instead of what they stand for."""
        return effective(self.config, self.references)

    def document(self) -> Any:
        """The document as plain data, with references instead of what they stand for: for dumps."""
        return plain(self.tree)


def load(path: str | Path, env: Mapping[str, str] | None = None) -> Loaded:
    """Read a file: JSON or TOML if its name ends in .json or .toml, else YAML. `env` stands for the environment,
    `${file:}` is relative to the file's folder. Raises ConfigErrors."""
    path = Path(path)
    try:
        data = read_regular(path, MAX_BYTES)
    except OSError as error:
        raise _whole(str(path), "FGW1001", f"cannot be read: {error.strerror}") from None
    return loads(_decode(str(path), data), str(path), format_of(path), env=env, base=path.parent)


def format_of(path: Path) -> Format:
    """What a file of this name holds."""
    formats: dict[str, Format] = {".json": "json", ".toml": "toml"}
    return formats.get(path.suffix.lower(), "yaml")


def loads(
    text: str, name: str = "<text>", format: Format = "yaml", *, env: Mapping[str, str] | None = None,
    base: str | Path = ".",
) -> Loaded:  # fmt: skip
    """Read a document from memory. `name` stands in messages; `${file:}` is relative to `base`. Raises ConfigErrors."""
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_BYTES:
        raise _whole(name, "FGW1001", f"longer than {MAX_BYTES:,} characters")
    try:
        source, tree = _PARSE[format](name, text)
    except Unreadable as error:
        raise ConfigErrors([error.problem]) from None
    expander = Expander(os.environ if env is None else env, Path(base))
    converter = Converter(source, tree, expander)
    config = converter.config()
    redactor = Redactor({value: reference for reference, value in expander.used.items()} | converter.hidden)
    warnings = [redactor.problem(each) for each in sorted(converter.warnings, key=_order)]
    if converter.problems or config is None:
        raise ConfigErrors([redactor.problem(each) for each in sorted(converter.problems, key=_order)], warnings)
    return Loaded(
        config, warnings, _hash(text, expander.used), converter.marks, converter.keys, name, text, format, Path(base),
        tree, converter.references, expander.files, redactor,
    )  # fmt: skip


def _order(problem: Problem) -> tuple[int, int]:
    return problem.line, problem.column


def _decode(name: str, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        message = f"the byte 0x{data[error.start]:02X} is not UTF-8"
        raise ConfigErrors(
            [Problem(code="FGW1002", file=name, line=line, column=column, path="", message=message)]
        ) from None


def _whole(name: str, code: str, message: str) -> ConfigErrors:
    fault = Fault(code, message)
    return ConfigErrors([Problem(code=fault.code, file=name, line=0, column=0, path="", message=fault.message)])


def _hash(text: str, used: Mapping[str, str]) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    for reference, value in sorted(used.items()):
        digest.update(f"\0{reference}\0{len(value)}\0{value}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def plain(node: Node) -> Any:
    """A tree as dicts, lists and scalars; what came from a reference is shown as the reference."""
    if node.kind == "map":
        return {key.text: plain(value) for key, value in node.items}
    if node.kind == "list":
        return [plain(item) for item in node.items]
    return node.raw if node.raw is not None else SECRET if is_secret(node.text) else node.value()
