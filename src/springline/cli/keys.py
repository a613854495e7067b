"""`springline keys`: the secret keys, under which credentials lie in the database."""

import click

from springline.cli.inside import run_inside
from springline.cli.output import say
from springline.cli.remote import load_settings
from springline.cli.serve import configure_logs


@click.group()
def keys() -> None:
    """The keys that encrypt what is stored.

    These commands open the database: run them where the server runs.
    """


@keys.command("rotate")
def rotate_keys() -> None:
    """Rewrites every secret under the first key of SPRINGLINE_SECRET_KEY, so that the others can go."""
    from springline import composition

    settings = load_settings()
    configure_logs(settings, for_a_moment=True)
    rotated = run_inside(composition.rotate_secret_keys(settings))
    if not any(rotated):
        say("everything is encrypted with the first key already")
        return
    counts = (("credential", rotated.credentials), ("OAuth app", rotated.oauth_apps), ("token", rotated.tokens))
    done = ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts)
    say(f"encrypted anew with the first key: {done}")
