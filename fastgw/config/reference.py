"""The reference of the configuration, written from the model: a page for people and the JSON Schema.

`render()` is called by `make gen`; the files it gives are never edited by hand.
"""

import json
from collections.abc import Iterator

from . import units
from .leaves import NOUNS
from .model import Config
from .problem import CODES
from .schema import schema, spell
from .shape import Anything, Choice, Field, Leaf, List, Map, Object, Shape, root
from .template import VARIABLES

PAGE, SCHEMA = "docs/reference/config.md", "docs/reference/schema.json"

_INTRO = """\
# Configuration

<!-- Generated from fastgw/config/ by `make gen`. Do not edit. -->

A configuration is one YAML document (YAML 1.2: `on` and `yes` are text, `012` is twelve), or JSON or TOML in a file
whose name ends in `.json` or `.toml`. Unknown keys are errors; so are TOML's dates and times. `fastgw check -c FILE`
tells every error at once; `fastgw schema` prints the [JSON Schema](schema.json). Anchors, aliases and merge
keys (`<<`) of YAML may be used; tags may not.

| what | how it is written |
|---|---|
| duration | `250ms` `30s` `5m` `1h` `7d`, joined as in `1m30s`; a bare number only if it is `0` |
| size | `500B` `16KiB` `1MiB` `1GiB` (powers of 1024), `1kB` `1MB` (of 1000); a bare number is bytes |
| rate | `500B/s` `1KiB/s`; a bare number is bytes a second |
| `off` | where it is allowed: no limit, the same as `0` |
| `${VAR}` `${VAR:-x}` | an environment variable; with `:-`, what to use if it is not set or empty |
| `${file:path}` | a file's text, without the line break at its end; relative to the configuration's folder |
| `$$` | a dollar sign |

References are replaced inside values after the document is parsed, never in keys, so they cannot change its structure;
messages and dumps show the reference and not what it stands for.
"""

_TEMPLATES = """\
## Templates

Text in which `{name}` is replaced for each request; `{{` and `}}` are braces. Besides the parameters of the route's
`match.pattern` there are:
"""

_CODES = """\
## Codes

What `fastgw check` may find. A code keeps its meaning for ever. FGW1901 and above are warnings.
"""


_KEYS = {"name": "names", "field": "header fields", "query": "parameters", "any": "settings"}


def render() -> dict[str, str]:
    """`{path: text}`, paths relative to the checkout."""
    data = json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
    return {PAGE: _page(), SCHEMA: data}


def _page() -> str:
    parts = [_INTRO]
    for path, shape in _objects(root(), ""):
        parts.append(_section(path, shape))
    rows = [f"| `{{{name}}}` | {text} |" for name, text in VARIABLES.items()]
    parts.append(_TEMPLATES + "\n" + "\n".join(["| variable | what |", "|---|---|", *rows]) + "\n")
    rows = [f"| {code} | {text} |" for code, text in CODES.items()]
    parts.append(_CODES + "\n" + "\n".join(["| code | what |", "|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def _objects(shape: Object, path: str) -> Iterator[tuple[str, Object]]:
    """Every Struct once, where it is first reached, with a path such as `routes.NAME.match`."""
    seen: set[type] = set()
    waiting: list[tuple[str, Object]] = [(path, shape)]
    while waiting:
        path, shape = waiting.pop(0)
        if shape.cls in seen:
            continue
        seen.add(shape.cls)
        yield path, shape
        below = [found for option in shape.fields.values() for found in _below(option.shape, _join(path, option.name))]
        waiting = below + waiting


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _below(shape: Shape, path: str) -> Iterator[tuple[str, Object]]:
    """The Structs directly under an option."""
    match shape:
        case Object():
            yield path, shape
        case List():
            yield from _below(shape.item, f"{path}[]")
        case Map():
            yield from _below(shape.value, f"{path}.NAME")
        case Choice():
            for option in shape.options:
                yield from _below(option, path)
        case Leaf() | Anything():
            pass


def _anchor(shape: Object) -> str:
    return shape.cls.__name__.lower()


def _section(path: str, shape: Object) -> str:
    head = f'<a id="{_anchor(shape)}"></a>\n## {f"`{path}`" if shape.cls is not Config else "The document"}\n'
    rows = [_row(option) for option in shape.fields.values()]
    table = "\n".join(["| key | type | default | what |", "|---|---|---|---|", *rows])
    return f"{head}\n{' '.join((shape.cls.__doc__ or '').split())}\n\n{table}\n"


def _row(option: Field) -> str:
    cells = (f"`{option.name}`", _type(option.shape), _default(option), option.description.replace("|", "\\|"))
    return "| " + " | ".join(cells) + " |"


def _default(option: Field) -> str:
    if option.required:
        return "**required**"
    value = spell(option)
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`" if value not in (None, "") else "–"


def _type(shape: Shape) -> str:
    match shape:
        case Leaf(type="word"):
            return " ".join(f"`{word}`" for word in shape.words)
        case Leaf(type="bool"):
            return "`true` `false`"
        case Leaf(type="str"):
            return NOUNS[shape.check]
        case Leaf():
            return _number(shape)
        case List():
            item = _type(shape.item)
            return f"{item}, or a list" if shape.single else f"list of: {item}"
        case Map():
            return f"mapping of {_KEYS[shape.names]} to: {_type(shape.value)}"
        case Object():
            link = f"[{shape.cls.__name__}](#{_anchor(shape)})"
            return f"{_type(shape.fields[shape.short].shape)} or {link}" if shape.short else link
        case Choice():
            return " or ".join(_type(option) for option in shape.options)
        case Anything():
            return "anything"


def _number(shape: Leaf) -> str:
    low, high = units.render(shape.unit, shape.ge or 0), units.render(shape.unit, shape.le or 0)
    return f"{shape.unit or 'number'}, {low} to {high}" + (", or `off`" if shape.off else "")
