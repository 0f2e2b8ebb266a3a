"""Runs `engine merge` and its peers on the same upserts into the same table, and prints what each took.

Every run is a process of its own, on a fresh copy of the table that the engine wrote itself, and with the same number
of threads. A round runs every engine once, in an order of its own, so that noise of the machine hits all alike;
the median of the rounds counts. After every run, the table is held to the rows it must have. Called by
`compare`, which installs the peers.
"""

import argparse
import datetime
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Run:
    """What one process took."""

    seconds: float
    """Wall time from the start of the process to its end."""
    work_seconds: float
    """The part of it that was the merge: without the start of Python and, for delta-rs, the reading of the source."""
    cpu_seconds: float
    memory_bytes: int
    """Peak resident memory of the process."""


@dataclass(frozen=True)
class Scenario:
    label: str
    staged: str
    """Which of the staged rows are merged."""
    solder: tuple[str, ...] = ()
    """Options of `engine merge`."""
    most_rounds: int = sys.maxsize


SCENARIOS = {
    "random": Scenario("random keys, 1 %", "random"),
    "recent": Scenario("recent keys, 1 %", "recent"),
    "insert-only": Scenario("new keys alone, 1 %", "insert-only"),
    "fifth": Scenario("random keys, 20 %", "fifth", most_rounds=2),
    "vectors": Scenario("random keys, 1 %, Solder with `--deletion-vectors`", "random", ("--deletion-vectors",)),
}


@dataclass(frozen=True)
class Engine:
    name: str
    label: str
    table: Callable[[Path], Path]
    """The table to copy, from the folder of the data."""
    command: Callable[[Path, Path, Scenario, int], list[str]]
    """The command line, from the folder of the data, the table, the scenario and threads."""


class Failure(Exception):
    """The comparison cannot go on; the message says why."""


def main() -> None:
    arguments = parse_arguments()
    try:
        # What looks for the number of processors finds as many as threads are asked for, also in the peers that
        # have no setting.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: arguments.threads])
        if arguments.memory_scaling:
            compare_memory(arguments)
        else:
            compare(arguments)
    except Failure as failure:
        sys.exit(f"compare: {failure}")


def parse_arguments() -> argparse.Namespace:
    cached = Path.home() / ".cache/solder-target"
    parser = argparse.ArgumentParser(
        prog="compare",
        description="Compare `engine merge` with delta-rs and DuckDB on the same upserts.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--engine", type=absolute, default=cached / "release/engine", help="the release build of Solder")
    parser.add_argument("--rows", type=int, default=5_000_000, help="rows of the table")
    parser.add_argument("--rounds", type=int, default=3, help="runs of every engine; of `fifth` at most two")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS), help="what to merge")
    parser.add_argument("--only", default="solder,delta-rs,duckdb", help="engines to run")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="threads of every engine")
    parser.add_argument(
        "--data",
        type=absolute,
        default=Path(tempfile.gettempdir()) / "merge-bench",
        help="rows and tables, kept for the next comparison; remove it when Solder writes tables differently",
    )
    parser.add_argument(
        "--memory-scaling",
        action="store_true",
        help="instead, compare the memory of `random` and `recent` with that for a table of a tenth of the rows",
    )
    return parser.parse_args()


def absolute(path: str) -> Path:
    return Path(path).absolute()


def compare(arguments: argparse.Namespace) -> None:
    engines = choose(all_engines(arguments.engine), arguments.only)
    scenarios = choose_scenarios(arguments.scenarios)
    runs = run_all(arguments, engines, scenarios, arguments.rows, arguments.rounds)
    print_result(arguments, engines, scenarios, runs)


def compare_memory(arguments: argparse.Namespace) -> None:
    engines = choose(all_engines(arguments.engine), arguments.only)
    scenarios = choose_scenarios("random,recent")
    few = run_all(arguments, engines, scenarios, arguments.rows // 10, rounds=1)
    many = run_all(arguments, engines, scenarios, arguments.rows, rounds=1)
    print_memory(arguments, engines, scenarios, few, many)


Runs = dict[tuple[Scenario, Engine], list[Run]]


def run_all(
    arguments: argparse.Namespace, engines: list[Engine], scenarios: list[Scenario], rows: int, rounds: int
) -> Runs:
    data = make_data(arguments, rows)
    runs: Runs = {(scenario, engine): [] for scenario in scenarios for engine in engines}
    for scenario in scenarios:
        expected = call("expected", data, scenario.staged)
        for round_number in range(min(rounds, scenario.most_rounds)):
            for engine in order(engines, round_number):
                with tempfile.TemporaryDirectory(prefix="merge-", dir=arguments.data) as folder:
                    table = Path(folder) / "t"
                    # Leaves every engine the same machine: the table in the file cache, and nothing to write back.
                    shutil.copytree(engine.table(data), table)
                    os.sync()
                    run = measure(engine.command(data, table, scenario, arguments.threads))
                    if (found := call("found", table)) != expected:
                        raise Failure(
                            f"{engine.label} left other rows than it was to ({scenario.label}):\n"
                            f"  has    {found}\n  should {expected}"
                        )
                runs[scenario, engine].append(run)
                print(
                    f"{rows:,} rows, {scenario.label}, round {round_number + 1}: {engine.label}: "
                    f"{run.seconds:.2f} s, {run.memory_bytes / 1e6:,.0f} MB",
                    file=sys.stderr,
                )
    return runs


def all_engines(binary: Path) -> list[Engine]:
    if not binary.is_file():
        raise Failure(f"there is no `{binary}`: run `cargo build --release`, or say --engine")

    def solder(data: Path, table: Path, scenario: Scenario, threads: int) -> list[str]:
        return [
            *(str(binary), "merge", "--staging", str(data / f"curated-{scenario.staged}"), "--into", str(table.parent)),
            *("--threads", str(threads), "--report", "json", *scenario.solder),
        ]

    def delta_rs(**options: object) -> Callable[[Path, Path, Scenario, int], list[str]]:
        return lambda data, table, scenario, threads: [
            *(sys.executable, str(HERE / "deltars_merge.py"), str(table)),
            *(str(data / f"staged-{scenario.staged}.parquet"), json.dumps(options)),
        ]

    def duckdb(data: Path, table: Path, scenario: Scenario, threads: int) -> list[str]:
        # The log goes, since what comes is no version of the table that it tells of.
        shutil.rmtree(table / "_delta_log")
        return [
            *(sys.executable, str(HERE / "duckdb_merge.py"), str(table)),
            *(str(data / f"staged-{scenario.staged}.parquet"), str(threads)),
        ]

    def of_solder(data: Path) -> Path:
        return data / "lake/t"

    def of_delta_rs(data: Path) -> Path:
        return data / "delta-rs"

    solder_version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    deltalake = f"delta-rs {version('deltalake')}"
    return [
        Engine("solder", f"Solder {solder_version}", of_solder, solder),
        Engine("delta-rs", deltalake, of_delta_rs, delta_rs()),
        # Gives delta-rs the range of the staged keys, by which it leaves out files; not what it does by itself.
        Engine("delta-rs", f"{deltalake}, `streamed_exec=False`", of_delta_rs, delta_rs(streamed_exec=False)),
        # It writes no log and so no table of its own; with the files of Solder, it has the same work.
        Engine("duckdb", f"DuckDB {version('duckdb')}, by hand", of_solder, duckdb),
    ]


def choose(engines: list[Engine], only: str) -> list[Engine]:
    names = set(only.split(","))
    if unknown := names - {engine.name for engine in engines}:
        raise Failure(f"no engine is called {', '.join(sorted(unknown))}")
    return [engine for engine in engines if engine.name in names]


def choose_scenarios(names: str) -> list[Scenario]:
    if unknown := set(names.split(",")) - SCENARIOS.keys():
        raise Failure(f"no scenario is called {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    return [SCENARIOS[name] for name in names.split(",")]


def order(engines: list[Engine], round_number: int) -> list[Engine]:
    """The engines in an order that differs from round to round, and not from one comparison to the next."""
    return random.Random(round_number).sample(engines, len(engines))


def make_data(arguments: argparse.Namespace, rows: int) -> Path:
    """Makes rows, tables and staging areas, unless they are there; returns their folder."""
    data = arguments.data / f"{rows}-rows"
    if data.exists():
        return data
    print(f"making {rows:,} rows in {data}", file=sys.stderr)
    unfinished = data.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    call("make", unfinished, str(rows))
    call("write-delta", unfinished, str(unfinished / "delta-rs"))

    def solder(*words: str | Path) -> None:
        run([arguments.engine, *words, "--threads", str(arguments.threads)])

    def relationalize(curated: Path) -> None:
        solder("relationalize", unfinished / "raw", curated, "--table", "t", "--key", "id", "--bookmark", "--timestamps")

    raw, curated, lake = unfinished / "raw", unfinished / "curated", unfinished / "lake"
    raw.mkdir()
    (raw / "table.ndjson").hardlink_to(unfinished / "table.ndjson")
    relationalize(curated)
    solder("merge", "--staging", curated, "--into", lake)
    for staged in sorted({scenario.staged for scenario in SCENARIOS.values()}):
        # A copy is the same staging area to the lake, and its next run is all that is new.
        shutil.copytree(curated, unfinished / f"curated-{staged}")
        batch = raw / "batch.ndjson"
        batch.hardlink_to(unfinished / f"staged-{staged}.ndjson")
        relationalize(unfinished / f"curated-{staged}")
        batch.unlink()
    for file in [*unfinished.glob("*.ndjson"), *raw.iterdir()]:
        file.unlink()
    unfinished.rename(data)
    return data


def call(command: str, folder: Path, *words: str) -> dict[str, object]:
    """Calls `rows.py`; what it prints, when it does."""
    printed = run([sys.executable, HERE / "rows.py", command, folder, *words])
    return json.loads(printed) if printed else {}


def run(command: list[str | Path]) -> str:
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if result.returncode != 0:
        raise Failure(f"`{' '.join(map(str, command))}` ended with {result.returncode}\n{result.stderr}")
    return result.stdout


def measure(command: list[str]) -> Run:
    """Runs a command and asks the kernel what it took, as `time` does."""
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        stdout.seek(0)
        stderr.seek(0)
        if process.returncode != 0:
            raise Failure(f"`{' '.join(command)}` ended with {process.returncode}\n{stderr.read()}")
        report = json.loads(stdout.read())
    return Run(
        seconds=seconds,
        work_seconds=report["work_seconds"] if "work_seconds" in report else report["duration_ms"] / 1000,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        memory_bytes=usage.ru_maxrss * 1024,
    )


def print_result(arguments: argparse.Namespace, engines: list[Engine], scenarios: list[Scenario], runs: Runs) -> None:
    """Prints the table as Markdown. Ratios are against the first engine: Solder, when it ran."""
    print(f"{machine()}, {datetime.date.today()}; {arguments.threads} threads, {arguments.rows:,} rows of 8 columns.")
    print("Seconds are medians of the rounds, memory is the most of any. The ratios say how many times what the first")
    print("engine took an engine took, in seconds of the process, in seconds of the merge alone, and in memory.")
    print("All left the rows that they were to leave. Spark's MERGE is left out: Delta's jars are in no registry that")
    print("this comparison installs from; the package delta-spark has them fetched from Maven Central.\n")
    print("| staged | engine | seconds | of that, merge | CPU seconds | memory | × seconds | × merge | × memory |")
    print("|---|---|---|---|---|---|---|---|---|")
    for scenario in scenarios:
        first = summary(runs[scenario, engines[0]])
        for engine in engines:
            took = summary(runs[scenario, engine])
            print(
                f"| {scenario.label} | {engine.label} | {took.seconds:.2f} | {took.work_seconds:.2f} "
                f"| {took.cpu_seconds:.2f} | {took.memory_bytes / 1e6:,.0f} MB | {took.seconds / first.seconds:.2f} "
                f"| {took.work_seconds / first.work_seconds:.2f} | {took.memory_bytes / first.memory_bytes:.2f} |"
            )


def print_memory(
    arguments: argparse.Namespace, engines: list[Engine], scenarios: list[Scenario], few: Runs, many: Runs
) -> None:
    print(f"{machine()}, {datetime.date.today()}; {arguments.threads} threads. Peak memory; staged is 1 % of each table.\n")
    print(f"| staged | engine | {arguments.rows // 10:,} rows | {arguments.rows:,} rows | growth |")
    print("|---|---|---|---|---|")
    for scenario in scenarios:
        for engine in engines:
            small = summary(few[scenario, engine]).memory_bytes
            large = summary(many[scenario, engine]).memory_bytes
            print(
                f"| {scenario.label} | {engine.label} | {small / 1e6:,.0f} MB | {large / 1e6:,.0f} MB "
                f"| {large / small:.2f} |"
            )


def summary(runs: list[Run]) -> Run:
    return Run(
        seconds=statistics.median(run.seconds for run in runs),
        work_seconds=statistics.median(run.work_seconds for run in runs),
        cpu_seconds=statistics.median(run.cpu_seconds for run in runs),
        memory_bytes=max(run.memory_bytes for run in runs),
    )


def machine() -> str:
    """Cores, processor and memory of this machine."""
    processor = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
        processor = names[0].split(":", 1)[1].strip() if names else processor
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return f"{os.cpu_count()} cores ({processor}), {memory_bytes / 2**30:.0f} GiB"


if __name__ == "__main__":
    main()
