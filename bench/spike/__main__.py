"""`python -m bench.spike [experiment ...]`: run the spike and print its tables."""

from __future__ import annotations

import argparse
import asyncio
import importlib

from bench.temporary_postgres import temporary_postgres

EXPERIMENTS = ("tables", "payloads", "ingest", "delivery", "growth")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.spike")
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help=", ".join(EXPERIMENTS))
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    for name in arguments.experiments or EXPERIMENTS:
        module = importlib.import_module(f"bench.spike.{name}")
        with temporary_postgres() as server:
            asyncio.run(module.run(server, records=arguments.records, rounds=arguments.rounds))


if __name__ == "__main__":
    main()
