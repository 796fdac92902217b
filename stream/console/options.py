"""The options with which ``up`` and ``demo`` serve the page."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def page_options(command: F) -> F:
    """Add the options of the page to a command, which gets ``page``, ``port`` and ``open_page``."""
    for option in (
        click.option("--open", "open_page", is_flag=True, help="Open the page in the browser."),
        click.option(
            "--port",
            type=click.IntRange(1, 65_535),
            help="The page's port. Default: 8080, or a free one if that is taken.",
        ),
        click.option("--page/--no-page", default=True, help="Serve the page, or don't.", show_default=True),
    ):
        command = option(command)
    return command
