"""DuckDB: an upsert by hand, into a folder of Parquet files without a log.

    python duckdb_merge.py TABLE STAGING THREADS

A file that has none of the staged keys stays; any other is written anew without the rows that are replaced, one
file at a time, and the staged rows become a file of their own. Nothing makes this atomic: a reader sees
half of it, and a run that is killed leaves the table broken.
"""

import json
import sys
import time
from pathlib import Path

import duckdb

# Of zstd's levels the one that Solder writes.
PARQUET = "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"


def main(table: Path, staging: str, threads: int) -> None:
    start = time.perf_counter()
    connection = duckdb.connect(config={"threads": threads})
    # Lets threads write what they have, in whatever order; it is faster and takes less memory.
    connection.execute("SET preserve_insertion_order = false")
    connection.execute(f"CREATE TEMP TABLE staging AS FROM '{staging}'")
    for file in sorted(table.glob("*.parquet")):
        # The join tells the scan the range of the staged keys, so that most files are judged by their footer.
        touched = connection.execute(f"SELECT count(*) > 0 FROM '{file}' SEMI JOIN staging USING (id)").fetchone()[0]
        if touched:
            rewritten = file.with_suffix(".new")
            connection.execute(f"COPY (FROM '{file}' ANTI JOIN staging USING (id)) TO '{rewritten}' {PARQUET}")
            rewritten.replace(file)
    connection.execute(f"COPY staging TO '{table / 'staged.parquet'}' {PARQUET}")
    print(json.dumps({"work_seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
