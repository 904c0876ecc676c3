"""The command line. `main()` is what `fastgw` runs; each command is a module of its own, imported when it is used.

Exit codes: 0 fine, 1 findings (a bad configuration, no route), 2 usage, 78 a bad configuration at start.
"""

import importlib
from typing import NamedTuple

import click

__all__ = ["main"]


class Entry(NamedTuple):
    """Where a command is and what it is for, so that listing them imports none."""

    module: str
    help: str


COMMANDS = {
    "run": Entry("run", "Serve: supervisor and workers."),
    "check": Entry("check", "Tell everything that is wrong with a configuration."),
    "explain": Entry("explain", "Which route a request takes, and why no other."),
    "routes": Entry("routes", "The routes, in order of precedence."),
    "demo": Entry("demo", "A gateway in front of two upstreams, to try it out."),
    "schema": Entry("schema", "The JSON Schema of configurations."),
    "version": Entry("version", "The version, and what this build can do."),
}


class Lazy(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"{__name__}.{COMMANDS[name].module}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main() -> None:
    """fastgw: an API gateway and service-mesh data plane."""
