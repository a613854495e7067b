"""`springline workers`: the processes that run the syncs."""

import click

from springline.cli.output import json_option, print_json, print_table
from springline.cli.remote import ask


@click.group()
def workers() -> None:
    """The processes that run the syncs."""


@workers.command("list")
@json_option
def list_workers(as_json: bool) -> None:
    """All workers, and those that were lost in the last hour."""
    found = ask(lambda springline: springline.workers.list())
    if as_json:
        print_json(found.raw)
        return
    rows = [
        (
            f"{worker.number}{'*' if worker.is_this_process else ''}",
            worker.status,
            worker.host,
            str(worker.process_id or "–"),
            worker.since,
            worker.lease_until,
            worker.credentials,
            worker.syncs,
        )
        for worker in found
    ]
    headers = ("number", "status", "host", "process", "since", "lease until", "credentials", "syncs")
    print_table(headers, rows, empty="no worker runs: start `springline serve` or `springline worker`")
