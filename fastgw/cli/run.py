"""`fastgw run`: serve."""

import sys
from pathlib import Path

import click

from fastgw.errors import ConfigErrors

from .common import BAD_CONFIG, config_option, refuse


@click.command("run")
@config_option
@click.option(
    "--workers", type=click.IntRange(1, 256), metavar="N", help="Worker processes; default: the configuration's."
)
@click.option(
    "--last-good", is_flag=True, help="If the configuration is bad, start with the last good one that was kept."
)
def command(path: Path, workers: int | None, last_good: bool) -> None:
    """Serve until TERM, INT or QUIT. HUP reloads the configuration, USR1 reopens the logs.

    Exit code 78: the configuration cannot be used."""
    from fastgw.control import supervisor

    try:
        code = supervisor.run(path, workers, last_good)
    except ConfigErrors as errors:
        refuse(errors, False, BAD_CONFIG)
    sys.exit(code or 0)
