"""The command line of LoyalNest."""

import os
import sys
from pathlib import Path

import click

# `http/` is a plain folder: from a checkout that is not installed, `gateway` is found there.
sys.path.append(str(Path(__file__).with_name("http")))

from cli.commands import Commands
from cli.errors import EXIT_FAILED, EXIT_USAGE

EXIT_INTERRUPTED = 130


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def loyalnest() -> None:
    """Loyalty programs for many merchants, in one program."""


def main() -> None:
    """Run a command. Leaves by `SystemExit`: 0 done, 1 failed, 2 wrong usage or settings."""
    try:
        loyalnest.main(prog_name="loyalnest", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except click.ClickException as error:
        click.echo(f"loyalnest: {error.format_message()}", err=True)
        sys.exit(EXIT_USAGE)
    except click.Abort:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)
    except Exception as error:
        from cli.running import report  # noqa: PLC0415 - it imports most of the program

        sys.exit(report(error))


if __name__ == "__main__":
    main()
