"""`python -m bench`: backfill, unchanged pages, receive + ack, of Springline and of the bare prototype, interleaved.

CPU is of all processes of the candidate, of PostgreSQL and, where it reads over HTTP, of the reader. The page server
is not counted. Ratios are what counts; absolute figures move with the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path

from bench.candidates import Candidate, child, line_from, prototype
from bench.cpu import tree_cpu
from bench.report import show_table
from bench.springline_run import springline
from bench.temporary_postgres import TemporaryPostgres, temporary_postgres

STRETCHES = ("backfill", "unchanged", "consume")
TITLES = {
    "backfill": "Backfill of 1 KB records into a durable stream",
    "unchanged": "The same pages again, nothing changed",
    "consume": "Receive + ack, batches of 100 (the prototype without HTTP)",
}
YARDSTICK = "prototype, one cursor"
Open = Callable[[str], AbstractAsyncContextManager[Candidate]]
Figures = dict[str, float]


async def measured(server: TemporaryPostgres, candidate: Candidate, stretch: str, *, records: int) -> Figures:
    """One stretch of work: records a second, and microseconds of CPU a record."""
    candidate_before, server_before = tree_cpu(candidate.pids()), tree_cpu([server.pid])
    own_before, start = time.process_time(), time.perf_counter()
    done = await getattr(candidate, stretch)()
    seconds, own = time.perf_counter() - start, time.process_time() - own_before
    candidate_cpu, server_cpu = tree_cpu(candidate.pids()) - candidate_before, tree_cpu([server.pid]) - server_before
    if done != records:
        raise RuntimeError(f"{candidate.name}: {stretch} came to {done} records instead of {records}")
    return {
        "records/s": records / seconds,
        "CPU µs/record": (candidate_cpu.total + server_cpu.total + own) / records * 1e6,
        "candidate": candidate_cpu.total / records * 1e6,
        "PostgreSQL": server_cpu.total / records * 1e6,
        "of it system": server_cpu.system / records * 1e6,
        "reader": own / records * 1e6,
    }


async def one_round(
    server: TemporaryPostgres, opens: list[Open], *, records: int, results: dict[str, dict[str, list[Figures]]]
) -> None:
    """Every candidate once, each on an empty database of its own."""
    administrator = await server.connect()
    for open_candidate in opens:
        await administrator.execute("DROP DATABASE IF EXISTS bench WITH (FORCE)")
        await administrator.execute("CREATE DATABASE bench")
        await administrator.execute("CHECKPOINT")
        async with open_candidate(server.dsn_of("bench")) as candidate:
            for stretch in STRETCHES:
                figures = await measured(server, candidate, stretch, records=records)
                results.setdefault(stretch, {}).setdefault(candidate.name, []).append(figures)
    await administrator.close()


async def run(*, records: int, rounds: int, with_springline: bool) -> dict[str, dict[str, list[Figures]]]:
    results: dict[str, dict[str, list[Figures]]] = {}
    async with child("bench.page_server", "--records", str(records)) as pages:
        url = await line_from(pages)
        opens: list[Open] = [
            lambda dsn: prototype(pages_url=url, dsn=dsn, requests=1),
            lambda dsn: prototype(pages_url=url, dsn=dsn, requests=8),
        ]
        if with_springline:
            opens.append(lambda dsn: springline(pages_url=url, dsn=dsn))
        for number in range(rounds):
            # A server of its own for each round: what autovacuum and checkpoints still owe is not carried over.
            turn = number % len(opens)
            with temporary_postgres() as server:
                await one_round(server, opens[turn:] + opens[:turn], records=records, results=results)
            print(f"round {number + 1} of {rounds} done", flush=True)
    return results


def show(results: dict[str, dict[str, list[Figures]]]) -> None:
    """The median of each figure, and each candidate's CPU as a multiple of the prototype's in the same round."""
    for stretch, candidates in results.items():
        first = candidates[YARDSTICK]
        rows: list[list[object]] = []
        for name, rounds in candidates.items():
            ratios = [mine["CPU µs/record"] / other["CPU µs/record"] for mine, other in zip(rounds, first, strict=True)]
            medians = [statistics.median(each[key] for each in rounds) for key in rounds[0]]
            rows.append([name, f"{statistics.median(ratios):.2f} ×", *medians])
        show_table(f"{TITLES[stretch]}  (median of {len(first)})", ["", "CPU", *first[0]], rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prototype-only", action="store_true", help="leave Springline itself out")
    arguments = parser.parse_args()
    results = asyncio.run(
        run(records=arguments.records, rounds=arguments.rounds, with_springline=not arguments.prototype_only)
    )
    show(results)
    directory = Path(__file__).parent / "results"
    directory.mkdir(exist_ok=True)
    path = directory / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps({"records": arguments.records, "stretches": results}, indent=1) + "\n")
    print(f"\nwritten to {path}")


if __name__ == "__main__":
    main()
