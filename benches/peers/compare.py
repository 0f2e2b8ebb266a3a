"""Runs `engine relationalize` and its peers on the same orders, and prints how long each took.

Every run is a process of its own with the same input, the same number of threads and zstd Parquet as output.
A round runs every engine once, in an order of its own, so that noise of the machine and what the engine before
left behind hit all alike; the fastest round of each engine counts. Called by `compare`, which installs the peers.
"""

import argparse
import datetime
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import row_counts

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent


@dataclass(frozen=True)
class Run:
    """What one process took."""

    seconds: float
    """Wall time from the start of the process to its end."""
    work_seconds: float
    """The part of it in which data were worked on: without the start of Python or of the JVM."""
    cpu_seconds: float
    memory_bytes: int
    """Peak resident memory of the process, or of the largest process that it started."""


@dataclass
class Engine:
    name: str
    label: str
    version: str
    command: Callable[[Path, Path, int], list[str]]
    """The command line, from input, output and threads."""
    most_rounds: int = sys.maxsize
    """Slow engines need fewer rounds for a steady figure."""
    runs: list[Run] = field(default_factory=list)

    @property
    def best(self) -> Run:
        return min(self.runs, key=lambda run: run.seconds)


class Failure(Exception):
    """The comparison cannot go on; the message says why."""


def main() -> None:
    arguments = parse_arguments()
    try:
        compare(arguments)
    except Failure as failure:
        sys.exit(f"compare: {failure}")


def parse_arguments() -> argparse.Namespace:
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    parser = argparse.ArgumentParser(
        prog="compare",
        description="Compare `engine relationalize` with DuckDB, Polars, Spark and dlt on the same work.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--engine", type=absolute, default=target / "release/engine", help="the release build of Solder")
    parser.add_argument(
        "--data", type=absolute, default=Path(tempfile.gettempdir()) / "orders.ndjson", help="orders; made when missing"
    )
    parser.add_argument("--bytes", default="510MB", help="how much to make")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of every engine")
    parser.add_argument("--rounds", type=int, default=3, help="runs of every engine, of Spark at most three")
    parser.add_argument("--dlt-bytes", type=int, default=20_000_000, help="dlt reads only this much of the data")
    parser.add_argument("--only", default="solder,duckdb,polars,spark,dlt", help="engines to run")
    return parser.parse_args()


def absolute(path: str) -> Path:
    return Path(path).absolute()


def compare(arguments: argparse.Namespace) -> None:
    engines = choose(all_engines(arguments.engine), arguments.only)
    make_orders(arguments.data, arguments.bytes)
    with tempfile.TemporaryDirectory(prefix="solder-peers-") as folder:
        inputs = {engine.name: arguments.data for engine in engines}
        if "dlt" in inputs:
            inputs["dlt"] = cut_lines(arguments.data, arguments.dlt_bytes, Path(folder) / "orders.ndjson")
        expected = {path: row_counts.in_json(path) for path in set(inputs.values())}

        for round_number in range(arguments.rounds):
            for engine in order(engines, round_number):
                if round_number < engine.most_rounds:
                    source, output = inputs[engine.name], Path(folder) / "out"
                    output.mkdir()
                    warm(source)
                    run = measure(engine.command(source, output, arguments.threads))
                    check(engine, row_counts.in_parquet(output), expected[source])
                    shutil.rmtree(output)
                    engine.runs.append(run)
                    print(f"round {round_number + 1}: {engine.label}: {run.seconds:.2f} s", file=sys.stderr)

        sizes = {name: path.stat().st_size for name, path in inputs.items()}
        print_result(engines, sizes, arguments.threads)


def all_engines(binary: Path) -> list[Engine]:
    if not binary.is_file():
        raise Failure(f"there is no `{binary}`: run `cargo build --release`, or say --engine")

    def solder(*options: str) -> Callable[[Path, Path, int], list[str]]:
        return lambda source, output, threads: [
            *(str(binary), "relationalize", str(source), str(output)),
            *("--table", "orders", "--threads", str(threads), "--report", "json", *options),
        ]

    def python(script: str, *options: str) -> Callable[[Path, Path, int], list[str]]:
        return lambda source, output, threads: [
            *(sys.executable, str(HERE / script), str(source), str(output), str(threads), *options),
        ]

    solder_version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
    return [
        # The twin of the peers, whose child rows carry the order's id.
        Engine("solder", "Solder, `--key orders=order_id`", solder_version, solder("--key", "orders=order_id")),
        # Without a key, rows are identified by a hash of the record, which the peers do not make.
        Engine("solder", "Solder", solder_version, solder()),
        Engine("duckdb", "DuckDB", version("duckdb"), python("duckdb_orders.py")),
        Engine("polars", "Polars", version("polars"), python("polars_orders.py")),
        # As its users would write it, without looking for a way around its reader.
        Engine("polars", "Polars, `scan_ndjson`", version("polars"), python("polars_orders.py", "ndjson"), most_rounds=3),
        Engine("spark", "Spark", version("pyspark"), python("spark_orders.py"), most_rounds=3),
        Engine("dlt", "dlt", version("dlt"), python("dlt_orders.py")),
    ]


def choose(engines: list[Engine], only: str) -> list[Engine]:
    names = set(only.split(","))
    if unknown := names - {engine.name for engine in engines}:
        raise Failure(f"no engine is called {', '.join(sorted(unknown))}")
    return [engine for engine in engines if engine.name in names]


def order(engines: list[Engine], round_number: int) -> list[Engine]:
    """The engines in an order that differs from round to round, and not from one comparison to the next."""
    return random.Random(round_number).sample(engines, len(engines))


def make_orders(path: Path, size: str) -> None:
    """Writes the orders to `path`, unless they are there; the same bytes on every machine."""
    if path.exists():
        return
    print(f"making {size} of orders in {path}", file=sys.stderr)
    unfinished = path.with_suffix(".unfinished")
    generate = ["cargo", "run", "--quiet", "--release", "--bin", "generate", "--", "--shape", "orders", "--bytes", size]
    with unfinished.open("wb") as orders:
        subprocess.run(generate, cwd=REPOSITORY, stdout=orders, check=True)
    unfinished.rename(path)


def cut_lines(source: Path, size_bytes: int, target: Path) -> Path:
    """Copies the first lines of `source`, up to the one that reaches `size_bytes`."""
    with source.open("rb") as lines, target.open("wb") as cut:
        for line in lines:
            if cut.tell() >= size_bytes:
                break
            cut.write(line)
    return target


def warm(source: Path) -> None:
    """Leaves every engine the same machine: nothing to write back, the input in the file cache, memory at hand.

    A process of its own reads the file, since the kernel counts the memory of this one for those it starts.
    """
    os.sync()
    subprocess.run([sys.executable, "-c", "import sys; open(sys.argv[1], 'rb').read()", str(source)], check=True)


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


def check(engine: Engine, found: dict[str, int], expected: dict[str, int]) -> None:
    if found != expected:
        raise Failure(f"{engine.label} wrote other rows than the data have:\n  wrote {found}\n  have  {expected}")


def print_result(engines: list[Engine], size_bytes: dict[str, int], threads: int) -> None:
    """Prints the table as Markdown. Ratios are of MB/s, against the first engine: Solder, when it ran."""

    def speed(engine: Engine) -> float:
        return size_bytes[engine.name] / 1e6 / engine.best.seconds

    print(f"{machine()}, {datetime.date.today()}; {threads} threads, zstd Parquet, best of the rounds.")
    print("Relative speed is against the first row.\n")
    print("| engine | version | JSON | seconds | of that, work | CPU seconds | memory | MB/s | relative speed |")
    print("|---|---|---|---|---|---|---|---|---|")
    for engine in engines:
        best = engine.best
        print(
            f"| {engine.label} | {engine.version} | {size_bytes[engine.name] / 1e6:,.0f} MB "
            f"| {best.seconds:.2f} | {best.work_seconds:.2f} | {best.cpu_seconds:.2f} "
            f"| {best.memory_bytes / 1e6:,.0f} MB | {speed(engine):.1f} | {speed(engine) / speed(engines[0]):.2f} |"
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
