"""The entry point: which commands there are, and what becomes of an error."""

import os
import sys
from collections.abc import Sequence
from typing import Final

import click

import springline
from springline.cli import (
    backfills,
    collections,
    consumers,
    credentials,
    dead_letters,
    demo,
    events,
    holds,
    keys,
    oauth_apps,
    orgs,
    output,
    providers,
    sandbox,
    serve,
    streams,
    syncs,
    tail,
    why,
    workers,
)
from springline.cli.errors import CommandFailed

FAILED: Final = 1
USAGE: Final = 2
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141
CONTEXT: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


class _Commands(click.Group):
    """Lists commands in the order in which they are added: the way in first."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_Commands, context_settings=CONTEXT)
@click.version_option(springline.__version__, prog_name="springline", message="%(prog)s %(version)s")
def commands() -> None:
    """Syncs SaaS APIs into durable streams.

    Start with `springline demo`, or with `springline serve` and, beside it, `springline streams create main`.

    Settings are environment variables: SPRINGLINE_DATA_DIR, SPRINGLINE_URL, SPRINGLINE_API_TOKEN and the others of
    docs/reference/settings.md.
    """


for _command in (
    demo.demo,
    serve.serve,
    streams.streams,
    credentials.credentials,
    collections.collections,
    oauth_apps.oauth_apps,
    syncs.syncs,
    consumers.consumers,
    tail.tail,
    events.events,
    events.records,
    providers.providers,
    serve.worker,
    workers.workers,
    serve.migrate,
    orgs.orgs,
    keys.keys,
    sandbox.sandbox,
):
    commands.add_command(_command)
for _command in (
    why.why,
    why.explain,
    holds.list_holds,
    holds.hold,
    backfills.start_backfill,
    backfills.list_backfills,
):
    syncs.syncs.add_command(_command)
for _command in (dead_letters.pending, dead_letters.term, dead_letters.dead_letters, dead_letters.redrive):
    consumers.consumers.add_command(_command)


def run(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code; every error is a line on stderr, never a traceback."""
    output.prepare()
    try:
        with commands.make_context("springline", list(arguments)) as context:
            result = commands.invoke(context)
        output.finish()
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        output.note(error.format_message())
        return USAGE
    except click.UsageError as error:
        output.say_usage_error(error)
        return USAGE
    except (CommandFailed, click.ClickException) as error:
        output.say_error(str(error))
        return FAILED
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        output.discard()
        return PIPE_CLOSED
    except Exception as error:
        output.say_fault(error)
        return FAILED
    return result if isinstance(result, int) else 0


def main() -> None:
    """The console script."""
    if "_SPRINGLINE_COMPLETE" in os.environ:
        commands(prog_name="springline")
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
