"""The command line of LoyalNest."""

import os
import sys
from pathlib import Path

import click

# `http/` is a plain folder: from a checkout that is not installed, `gateway` is found there.
sys.path.append(str(Path(__file__).with_name("http")))

from cli.errors import EXIT_FAILED, EXIT_USAGE
from cli.importing.command import import_
from cli.migrate import migrate
from cli.running import report
from cli.serve import serve
from cli.show_config import show_config
from cli.sim import sim
from cli.tokens import token
from cli.verify import verify
from cli.version import version

EXIT_INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def loyalnest() -> None:
    """Loyalty programs for many merchants, in one program."""


for command in (serve, import_, migrate, show_config, sim, token, verify, version):
    loyalnest.add_command(command)


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
        sys.exit(report(error))


if __name__ == "__main__":
    main()
