"""`engine sql` beside DataFusion over the same files, and the marts over many times the fixtures."""

import argparse
import csv
import io
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

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
PEER = """
import glob, os, sys, time
import datafusion
lake, threads, statement = sys.argv[1], int(sys.argv[2]), sys.argv[3]
began = time.perf_counter()
session = datafusion.SessionContext(datafusion.SessionConfig().with_target_partitions(threads))
for folder in glob.glob(os.path.join(lake, "[!_]*", "")):
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
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--bytes", default="1GB", help="JSON of orders; 1GB is 9.5 million rows in 6 tables")
    parser.add_argument("--copies", type=int, default=100, help="of the fixtures, for the marts")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
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
    print("| query | Solder | DataFusion | ratio | its Python package, query alone |")
    print("|---|---|---|---|---|")
    for name, statement in QUERIES.items():
        ours, bare, theirs = [], [], []
        for _ in range(arguments.rounds):
            began = time.perf_counter()
            command = [engine, "sql", "--lake", folder / "lake", "--format", "csv"]
            text = run([*command, "--threads", arguments.threads, "--command", statement])
            ours.append(time.perf_counter() - began)
            began = time.perf_counter()
            same = run([arguments.programs / "bare-datafusion", folder / "lake", arguments.threads, statement])
            bare.append(time.perf_counter() - began)
            peer = [sys.executable, "-c", PEER, folder / "lake", arguments.threads, statement]
            seconds, *rows = run(peer).splitlines()
            theirs.append(float(seconds))
            expected = [row.split("\t") for row in rows]
            found = list(csv.reader(io.StringIO(text)))[1:]
            assert found == expected, f"{name}: {found} is not {expected}"
            assert [row.split("\t") for row in same.splitlines()] == expected, f"{name}: {same} is not {expected}"
        ratio = statistics.median(mine / other for mine, other in zip(ours, bare))
        ours, bare, theirs = map(statistics.median, (ours, bare, theirs))
        print(f"| {name} | {ours:.3f} s | {bare:.3f} s | {ratio:.2f} | {theirs:.3f} s |", flush=True)


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


def run(command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{command[0]} failed with {done.returncode}: {done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
