"""The rows that are merged, the tables they are merged into, and what a table holds.

    python rows.py make FOLDER ROWS             the table, and staged rows for every scenario, Parquet and NDJSON
    python rows.py write-delta FOLDER TABLE     the table as delta-rs writes it
    python rows.py expected FOLDER STAGED       what the table holds after the merge, told from the rows alone
    python rows.py found TABLE                  what a Delta table, or a folder of Parquet files, holds

The last two print JSON. `compare.py` calls all of them as processes of their own: the kernel counts the memory
of a process for those that it starts, and what is done here takes more than some of the merges.
"""

import json
import sys
from pathlib import Path

import duckdb
import pyarrow
import pyarrow.parquet as parquet
from deltalake import DeltaTable, QueryBuilder, write_deltalake

STAGED = {
    "random": ("hash(id, 'picked') % 1000 < 9", 0.001),
    "recent": ("id >= rows - rows * 9 // 1000", 0.001),
    "insert-only": ("false", 0.01),
    "fifth": ("hash(id, 'picked') % 1000 < 180", 0.02),
}
"""Which rows are updated, and how many are new for each in the table. Nine in ten are updates, where there are any."""

CITIES = ["Amsterdam", "Berlin", "Bogotá", "Jakarta", "København", "Lagos", "Lima", "Nairobi", "Osaka", "Zürich"]
STATUSES = ["new", "paid", "packed", "shipped", "delivered", "returned"]

CHECKSUMS = """
    count(*) AS rows,
    sum(round(amount * 100)::BIGINT)::VARCHAR AS amount_cents,
    sum(updated_at)::VARCHAR AS updated_at,
    sum(hash(id, customer, status, amount, quantity, city, epoch_us(created_at), updated_at)::HUGEINT)::VARCHAR AS hashes
"""


def make(folder: Path, rows: int) -> None:
    """Writes `table` and `staged-…`, each as Parquet and as NDJSON; the same rows on every machine."""
    connection = duckdb.connect()
    connection.execute("CREATE MACRO one_of(texts, salt, id) AS texts[1 + (hash(id, salt) % len(texts))::BIGINT]")
    # Ids grow with time, as those of most tables do; `age` tells the version of a row.
    connection.execute(
        f"""
        CREATE MACRO row_of(id, age) AS {{
            'id': id,
            'customer': 'c-' || (hash(id, 'customer') % 10_000_000_000)::VARCHAR,
            'status': one_of({STATUSES}, 'status' || age, id),
            'amount': (1 + (hash(id, 'amount' || age) % 100_000)::BIGINT) / 100,
            'quantity': 1 + (hash(id, 'quantity') % 20)::BIGINT,
            'city': one_of({CITIES}, 'city', id),
            'created_at': make_timestamp(1_700_000_000_000_000 + id * 6_000_000 + (hash(id, 'at') % 6_000_000)::BIGINT),
            'updated_at': 1_700_000_000 + id * 6 + age * 100_000_000,
        }}
        """
    )
    connection.execute(f"CREATE TABLE ids AS SELECT range AS id, {rows} AS rows FROM range({rows})")
    write(connection, folder / "table", "SELECT unnest(row_of(id, 0)) FROM ids ORDER BY id")
    for name, (updated, inserted) in STAGED.items():
        new = f"SELECT range AS id FROM range({rows}, {rows + round(rows * inserted)})"
        staged = f"SELECT id FROM ids WHERE {updated} UNION ALL {new}"
        # Changes come in an order of their own.
        write(
            connection,
            folder / f"staged-{name}",
            f"SELECT unnest(row_of(id, 1)) FROM ({staged}) ORDER BY hash(id, 'order')",
        )


def write(connection: duckdb.DuckDBPyConnection, path: Path, query: str) -> None:
    connection.execute(f"CREATE OR REPLACE TEMP TABLE written AS {query}")
    utc = "SELECT * REPLACE (make_timestamptz(epoch_us(created_at)) AS created_at) FROM written"
    rfc_3339 = "SELECT * REPLACE (strftime(created_at, '%Y-%m-%dT%H:%M:%S.%fZ') AS created_at) FROM written"
    connection.execute(f"COPY ({utc}) TO '{path}.parquet' (FORMAT parquet, COMPRESSION zstd)")
    connection.execute(f"COPY ({rfc_3339}) TO '{path}.ndjson' (FORMAT json)")


def write_delta(folder: Path, table: Path) -> None:
    """Writes the table as delta-rs writes what comes as a stream."""
    source = parquet.ParquetFile(folder / "table.parquet")
    batches = pyarrow.RecordBatchReader.from_batches(source.schema_arrow, source.iter_batches())
    write_deltalake(table, batches)


def expected(folder: Path, staged: str) -> dict[str, object]:
    table, staging = folder / "table.parquet", folder / f"staged-{staged}.parquet"
    merged = f"(FROM '{table}' ANTI JOIN '{staging}' USING (id)) UNION ALL (FROM '{staging}')"
    return checksums(duckdb.connect(), merged)


def found(table: Path) -> dict[str, object]:
    connection = duckdb.connect()
    if not (table / "_delta_log").is_dir():
        return checksums(connection, f"FROM '{table}/*.parquet'")
    delta = DeltaTable(table)
    if "deletionVectors" not in (delta.protocol().reader_features or []):
        return checksums(connection, f"FROM read_parquet({delta.file_uris()})")
    # The files hold deleted rows too, which delta-rs leaves out when it reads.
    live = QueryBuilder().register("live", delta).execute("SELECT * FROM live")
    connection.register("live_rows", pyarrow.RecordBatchReader.from_stream(live))
    return checksums(connection, "FROM live_rows")


def checksums(connection: duckdb.DuckDBPyConnection, rows: str) -> dict[str, object]:
    result = connection.execute(f"SELECT {CHECKSUMS} FROM ({rows})")
    return dict(zip([column[0] for column in result.description], result.fetchone(), strict=True))


def main(command: str, folder: Path, *rest: str) -> None:
    match command:
        case "make":
            make(folder, int(rest[0]))
        case "write-delta":
            write_delta(folder, Path(rest[0]))
        case "expected":
            print(json.dumps(expected(folder, rest[0])))
        case "found":
            print(json.dumps(found(folder)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
