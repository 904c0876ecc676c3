"""`${VAR}`, `${VAR:-default}`, `${file:path}` and `$$`, replaced in scalars after parsing.

So a value can never change the document's structure, and the tree still holds the reference (`Node.raw`): dumps and
messages show that and never the secret. Keys are not expanded.
"""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from .nodes import Node
from .problem import Fault

FILE_MAX = 1 << 20
_DOLLAR = re.compile(r"\$\$|\$\{([^{}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
Signature = tuple[int, int, int]
"""Of a file: mtime in ns, size, inode."""


class Expander:
    """Expands against one environment, with files relative to `base`. `used` collects what was read, for the hash."""

    def __init__(self, env: Mapping[str, str], base: Path) -> None:
        self._env, self._base = env, base
        self._done: set[int] = set()
        self.used: dict[str, str] = {}
        self.files: dict[str, Signature] = {}

    def expand(self, node: Node) -> None:
        """Replace what stands in a scalar's text. Raises Fault (FGW1010 to FGW1012); the node is left as it was then.

        A node reached through several aliases is expanded, and complained about, once."""
        if "$" not in node.text or id(node) in self._done:
            return
        self._done.add(id(node))
        text = _DOLLAR.sub(self._one, node.text)
        if text != node.text.replace("$$", "$"):
            node.raw = node.text
        node.text = text

    def _one(self, match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        inner, at = match[1], match.start()
        expected = "${NAME}, ${NAME:-default} or ${file:path}"
        if not match[2]:
            raise Fault(
                "FGW1012", "`${` without its `}`", expected=expected, hint="a dollar sign is written $$", offset=at
            )
        if inner.startswith("file:"):
            return self._file(inner[5:], match)
        name, colon, default = inner.partition(":-")
        if not _NAME.fullmatch(name):
            raise Fault("FGW1012", f"`{match[0]}` is not a reference", expected=expected,
                        hint="a dollar sign is written $$", offset=at, length=len(match[0]))  # fmt: skip
        value = self._env.get(name, "")
        if value == "" and colon:
            value = default
        elif name not in self._env:
            raise Fault("FGW1010", f"the variable {name} is not set", hint=f"${{{name}:-…}} gives a default",
                        offset=at, length=len(match[0]))  # fmt: skip
        self.used[match[0]] = value
        return value

    def _file(self, name: str, match: re.Match[str]) -> str:
        if match[0] in self.used:
            return self.used[match[0]]
        try:
            text = read_regular(self._base / name, FILE_MAX).decode("utf-8")
        except UnicodeDecodeError:
            raise self._file_fault(name, match, "is not UTF-8 text") from None
        except OSError as error:
            raise self._file_fault(name, match, f"cannot be used: {error.strerror}") from None
        self.used[match[0]] = text = text.removesuffix("\n").removesuffix("\r")
        return text

    def pem(self, text: str) -> str:
        """PEM text: given as such, or the path of a file with it. Raises Fault (FGW1011)."""
        if "-----BEGIN " in text:
            return text
        if "\n" in text or "\0" in text or not text:
            raise Fault("FGW1221", "neither PEM text nor the path of a file with it")
        try:
            read = signature(self._base / text)  # before it is read: what changes afterwards is seen
            found = read_regular(self._base / text, FILE_MAX).decode("ascii")
        except UnicodeDecodeError:
            hint = "DER becomes PEM by `openssl x509`"
            raise Fault("FGW1221", f"the file {text} is not PEM text", hint=hint) from None
        except OSError as error:
            raise Fault("FGW1011", f"the file {text} cannot be used: {error.strerror}") from None
        self.used[f"pem:{text}"] = found
        self.files[os.path.abspath(self._base / text)] = read
        return found

    @staticmethod
    def _file_fault(name: str, match: re.Match[str], why: str) -> Fault:
        return Fault("FGW1011", f"the file {name or '(no name)'} {why}", offset=match.start(), length=len(match[0]))


def signature(path: str | os.PathLike[str]) -> Signature:
    """What tells one state of a file from another. OSError."""
    found = os.stat(path)
    return found.st_mtime_ns, found.st_size, found.st_ino


def read_regular(path: Path, most: int) -> bytes:
    """The bytes of a regular file of at most `most` bytes. Raises OSError; never blocks on a FIFO or device."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(22, "not a regular file")
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(27, f"larger than {most:,} bytes")
    return data
