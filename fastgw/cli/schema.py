"""`fastgw schema`: the JSON Schema of configurations, for editors."""

import click

from fastgw.config.schema import schema

from .common import emit


@click.command("schema")
@click.option("--json", is_flag=True, help="Print JSON, as it does anyway.", expose_value=False)
def command() -> None:
    """Print the JSON Schema (draft 2020-12) of a configuration."""
    emit(schema())
