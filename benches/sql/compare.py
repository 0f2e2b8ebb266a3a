"""`engine sql` beside DataFusion over the same files, and the marts over many times the fixtures."""

import argparse
import csv
import io
import itertools
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
QUERIES = {
    "filter and count": "select count(*) as n from orders__items where quantity > 3",
    "group by two columns": """
        select status, currency, count(*) as n, count(distinct customer__customer_id) as customers
        from orders group by 1, 2 order by 1, 2""",
    "join of two tables": """
        select o.channel, count(*) as n, max(i._index_1) as longest
        from orders o join orders__items i on i._root_order_id = o.order_id
        where o.status = 'packed' group by 1 order by 1""",
    "top of a group": "select value, count(*) as n from orders__tags group by 1 order by n desc, 1 limit 10",
    "join of three tables": """
        select o.order_id, count(*) as n
        from orders o
        join orders__items i on i._root_order_id = o.order_id
        join orders__items__discounts d on d._root_order_id = i._root_order_id and d._index_1 = i._index_1
        group by 1 order by n desc, 1 limit 5""",
}
KEYS = {
    "donors": "id",
    "campaigns": "campaignId",
    "clickstream": "eventId",
    "registrations": "registrationId",
    "work_items": "id",
    "employees": "employeeId",
}
IDS = {
    "id", "donor_id", "donorId", "eventId", "campaignId", "registrationId", "employeeId", "giftId",
}
# A process of less than a tenth of a second is as noisy as the machine: it runs more often.
SHORT_SECONDS = 0.1
ROUNDS_WHEN_SHORT = 5
PEER = """
import glob, os, sys, time
import datafusion
files, threads, statement = sys.argv[1], int(sys.argv[2]), sys.argv[3]
began = time.perf_counter()
session = datafusion.SessionContext(datafusion.SessionConfig().with_target_partitions(threads))
for folder in glob.glob(os.path.join(files, "*", "")):
    session.register_parquet(os.path.basename(folder.rstrip("/")), folder)
rows = session.sql(statement).to_pylist()
print(time.perf_counter() - began)
for row in rows:
    print(*row.values(), sep="\\t")
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    target = os.environ.get("CARGO_TARGET_DIR", ROOT / "target")
    parser.add_argument("--programs", type=pathlib.Path, default=pathlib.Path(target) / "release")
    parser.add_argument("--rounds", type=int, default=7, help="five times as many for the shortest statements")
    parser.add_argument("--bytes", default="1GB", help="JSON of orders; 1GB is 9.5 million rows in 6 tables")
    parser.add_argument("--copies", type=int, default=100, help="of the fixtures, for the marts")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--memory", type=int, default=2048, help="MiB for joins and sorts, of those that have a limit")
    arguments = parser.parse_args()
    arguments.command_line = command_line()
    with tempfile.TemporaryDirectory(prefix="solder-sql-bench-") as folder:
        folder = pathlib.Path(folder)
        compare(arguments, folder / "orders")
        marts(arguments, folder / "marts")


def compare(arguments, folder):
    engine = arguments.programs / "engine"
    folder.mkdir()
    generate = [arguments.programs / "generate", "--shape", "orders", "--bytes", arguments.bytes]
    run([*generate, "--to", folder / "raw/orders", "--files", "4"])
    run([engine, "relationalize", folder / "raw", folder / "curated", "--key", "order_id"])
    run([engine, "merge", "--staging", folder / "curated", "--into", folder / "lake"])
    plain(folder / "lake", folder / "files")
    peers = {"DataFusion": bare}
    if arguments.command_line:
        peers[f"its command line {arguments.command_line[1]}"] = cli
    columns = ["query", "Solder", *(column for name in peers for column in (name, "ratio"))]
    print("|", " | ".join([*columns, "its Python package, query alone"]), "|")
    print("|" + "---|" * (len(columns) + 1))
    for name, statement in QUERIES.items():
        expected, seconds = solder(arguments, folder, statement)
        rounds = arguments.rounds * (ROUNDS_WHEN_SHORT if seconds < SHORT_SECONDS else 1)
        # Who follows whom changes, since one leaves caches and clocks of the machine to the next.
        orders = itertools.cycle(itertools.permutations([solder, *peers.values()]))
        took = {contestant: [] for contestant in [solder, *peers.values(), package]}
        for at, order in zip(range(rounds), orders):
            for contestant in [*order, *([package] if at < arguments.rounds else [])]:
                rows, seconds = contestant(arguments, folder, statement)
                assert rows == expected, f"{name}, {contestant.__name__}: {rows} is not {expected}"
                took[contestant].append(seconds)
        median = {contestant: statistics.median(seconds) for contestant, seconds in took.items()}
        cells = [name, f"{median[solder]:.3f} s"]
        for peer in peers.values():
            ratio = statistics.median(mine / other for mine, other in zip(took[solder], took[peer]))
            cells += [f"{median[peer]:.3f} s", f"{ratio:.2f}"]
        print("|", " | ".join([*cells, f"{median[package]:.3f} s"]), "|", flush=True)


def solder(arguments, folder, statement):
    """The rows as texts, and the seconds that the process took."""
    command = [arguments.programs / "engine", "sql", "--lake", folder / "lake", "--format", "csv"]
    command += ["--threads", arguments.threads, "--memory", f"{arguments.memory}MiB", "--command", statement]
    text, seconds = timed(command)
    return list(csv.reader(io.StringIO(text)))[1:], seconds


def bare(arguments, folder, statement):
    """As `solder`, by the program that is DataFusion alone."""
    command = [arguments.programs / "bare-datafusion", folder / "files", arguments.threads, statement]
    text, seconds = timed(command)
    return [row.split("\t") for row in text.splitlines()], seconds


def cli(arguments, folder, statement):
    """As `solder`, by DataFusion's command line: over tables that its file of statements makes first."""
    script = folder / "statements.sql"
    tables = (
        f"CREATE EXTERNAL TABLE \"{files.name}\" STORED AS PARQUET LOCATION '{files}/';\n"
        for files in sorted((folder / "files").iterdir())
    )
    # Without a semicolon, the statement's failure is the program's.
    script.write_text("".join(tables) + statement.strip() + "\n", encoding="utf-8")
    command = [arguments.command_line[0], "--quiet", "--format", "csv", "--maxrows", "inf"]
    command += ["--memory-limit", f"{arguments.memory}m", "--mem-pool-type", "fair", "--top-memory-consumers", "1"]
    threads = str(arguments.threads)
    variables = {name: value for name, value in os.environ.items() if not name.startswith("DATAFUSION_")}
    variables |= {"DATAFUSION_EXECUTION_TARGET_PARTITIONS": threads, "TOKIO_WORKER_THREADS": threads}
    text, seconds = timed([*command, "--file", script], env=variables)
    return list(csv.reader(io.StringIO(text)))[1:], seconds


def package(arguments, folder, statement):
    """As `solder`, by DataFusion's Python package; the seconds are those of the query alone."""
    seconds, *rows = run([sys.executable, "-c", PEER, folder / "files", arguments.threads, statement]).splitlines()
    return [row.split("\t") for row in rows], float(seconds)


def plain(lake, to):
    """A folder for each table with the files that its log names, and nothing else: for those that read no log."""
    for table in (folder for folder in lake.iterdir() if not folder.name.startswith("_")):
        files = set()
        commits = sorted((table / "_delta_log").glob("*.json"))
        if not commits or int(commits[0].stem) != 0:
            sys.exit(f"{table} has no log that begins with its first commit")
        for action in (json.loads(line) for commit in commits for line in commit.read_text().splitlines()):
            if "add" in action:
                assert not action["add"].get("deletionVector"), f"{table} has deletion vectors"
                files.add(action["add"]["path"])
            elif "remove" in action:
                files.discard(action["remove"]["path"])
        (to / table.name).mkdir(parents=True)
        for file in map(urllib.parse.unquote, files):
            os.link(table / file, to / table.name / pathlib.PurePath(file).name)


def command_line():
    """DataFusion's command line and its version; none where there is none."""
    root = os.environ.get("SOLDER_DATAFUSION_CLI", pathlib.Path.home() / ".cache/solder-datafusion-cli")
    installed = pathlib.Path(root) / "bin/datafusion-cli"
    named = os.environ.get("DATAFUSION_CLI")
    program = shutil.which(named or "datafusion-cli") or (not named and shutil.which(installed))
    if not program:
        if named:
            sys.exit(f"DATAFUSION_CLI is {named}, which is no program")
        print("without DataFusion's command line: benches/sql/install-cli builds it", file=sys.stderr)
        return None
    version = run([program, "--version"]).split()[-1]
    ours = re.search(r'name = "datafusion"\nversion = "(.*)"', (ROOT / "Cargo.lock").read_text())[1]
    if version.split(".")[0] != ours.split(".")[0]:
        sys.exit(f"{program} is DataFusion {version}, Solder has {ours}: benches/sql/install-cli builds that one")
    return program, version


def marts(arguments, folder):
    engine = arguments.programs / "engine"
    keys = [f"--key={table}={key}" for table, key in KEYS.items()]
    once, many = folder / "once", folder / "many"
    run([engine, "relationalize", ROOT / "fixtures/raw", once, *keys])
    for table in KEYS:
        records = run([engine, "nest", once, "--table", table]).rstrip("\n").split("\n")
        (many / "raw" / table).mkdir(parents=True)
        with open(many / "raw" / table / "all.ndjson", "w", encoding="utf-8") as file:
            for copy in range(arguments.copies):
                for record in records:
                    json.dump(renamed(json.loads(record), copy), file, ensure_ascii=False)
                    file.write("\n")
    run([engine, "relationalize", many / "raw", many / "curated", *keys])
    run([engine, "merge", "--staging", many / "curated", "--into", many / "lake"])
    print()
    print("| mart | rows | seconds | memory |")
    print("|---|---|---|---|")
    regions = ROOT / "fixtures/public/regions.csv"
    for statement in sorted((ROOT / "sql/marts").glob("*.sql")):
        command = [engine, "sql", statement, "--lake", many / "lake", "--file", regions]
        command += ["--into", many / "marts", "--report", "json"]
        seconds = []
        for _ in range(arguments.rounds):
            began = time.perf_counter()
            report = json.loads(run(command))
            seconds.append(time.perf_counter() - began)
        memory = peak_megabytes(command)
        median = statistics.median(seconds)
        print(f"| {statement.stem} | {report['num_rows']:,} | {median:.3f} | {memory:.0f} MB |", flush=True)


def renamed(value, copy, key=""):
    """The record of another copy: every id is another one, and refers to those of its own copy."""
    match value:
        case dict():
            return {name: renamed(inner, copy, name) for name, inner in value.items()}
        case list():
            return [renamed(inner, copy, key) for inner in value]
        case bool() | None:
            return value
        case int() if key in IDS:
            return value + copy * 1_000_000
        case str() if key in IDS and value.isdigit():
            return str(int(value) + copy * 1_000_000)
        case str() if key in IDS or key in {"event", "assignee"}:
            return f"{value}-{copy}"
        case _:
            return value


def peak_megabytes(command):
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=-3); "
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000)"
    return float(run([sys.executable, "-c", code, *command]))


def timed(command, **options):
    began = time.perf_counter()
    text = run(command, **options)
    return text, time.perf_counter() - began


def run(command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    if done.returncode:
        sys.exit(f"{command[0]} failed with {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout


if __name__ == "__main__":
    main()
