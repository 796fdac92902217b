"""The option with which commands show progress as JSON."""

import click

as_json = click.option("--json", "as_json", is_flag=True, help="Show progress as JSON, an object on each line.")
