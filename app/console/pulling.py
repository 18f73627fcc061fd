"""The client's commands as commands of `rata`: `app.client.cli` parses their arguments."""

import typer

from app.client.cli import FOLLOWS, PULLS, main

cli = typer.Typer()
_ALL_ARGUMENTS = {"ignore_unknown_options": True, "allow_extra_args": True}


@cli.command("pull", help=PULLS, context_settings=_ALL_ARGUMENTS, add_help_option=False)
@cli.command("follow", help=FOLLOWS, context_settings=_ALL_ARGUMENTS, add_help_option=False)
def hand_over(context: typer.Context) -> None:
    """Pass the command and its arguments to the client."""
    main([context.info_name or "", *context.args])
