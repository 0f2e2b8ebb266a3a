"""Holds the Delta tables of a lake to curated tables with the same records, as another program reads them.

    check_lake.py LAKE CURATED

Every curated table must stand in the lake with the same rows, as sets, up to `_seq`, which stays in staging. Where
DuckDB's Delta extension is installed, it reads the tables; else the deltalake wheel does, by its Arrow reader, or by
its query engine where rows are marked as deleted. The protocol must be one that old readers know, or that of
deletion vectors alone.
"""

import glob
import os
import sys

from pathlib import Path

import duckdb

try:
    import duckdb_extension_delta
except ImportError:
    duckdb_extension_delta = None


def add_by_extension(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    folder = Path(duckdb_extension_delta.__file__).parent
    (extension,) = folder.rglob("*.duckdb_extension")
    connection.execute(f"LOAD '{extension}'")
    connection.execute(f"CREATE VIEW lake AS SELECT * FROM delta_scan('{table}')")


def add_by_wheel(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    connection.register("lake", rows_of(table))


def rows_of(address: str) -> object:
    import pyarrow
    from deltalake import DeltaTable, QueryBuilder

    table = DeltaTable(address)
    protocol = table.protocol()
    versions = (protocol.min_reader_version, protocol.min_writer_version)
    if versions == (1, 2):
        return table.to_pyarrow_table()
    features = (protocol.reader_features, protocol.writer_features)
    if versions != (3, 7) or features != (["deletionVectors"], ["deletionVectors"]):
        sys.exit(f"{address}: protocol {versions} with {features}")
    return pyarrow.table(QueryBuilder().register("t", table).execute("select * from t").read_all())


def differences(lake: str, curated: str, name: str) -> str:
    files = sorted(glob.glob(f"{curated}/{name}/*.parquet"))
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    add = add_by_extension if duckdb_extension_delta else add_by_wheel
    add(connection, os.path.abspath(f"{lake}/{name}"))
    wanted = f"read_parquet({files})"
    columns = [c for c in connection.sql(f"select * from {wanted}").columns if c != "_seq"]
    missing = sorted(set(columns) - set(connection.sql("select * from lake").columns))
    if missing:
        return f"columns {missing} are not in the lake"
    listed = ", ".join(f'"{column}"' for column in columns)
    theirs, ours = f"select {listed} from lake", f"select {listed} from {wanted}"
    extra = len(connection.sql(f"{theirs} except all {ours}").fetchall())
    lost = len(connection.sql(f"{ours} except all {theirs}").fetchall())
    return f"{extra} rows too many, {lost} lost" if extra or lost else ""


def main() -> None:
    lake, curated = sys.argv[1:]
    names = sorted(
        name
        for name in os.listdir(curated)
        if not name.startswith("_") and os.path.isdir(f"{curated}/{name}")
    )
    failed = 0
    for name in names:
        difference = differences(lake, curated, name)
        if difference:
            failed += 1
            print(f"{lake}/{name}: {difference}")
    print(f"{lake}: {len(names)} tables, {failed} differ")
    sys.exit(1 if failed or not names else 0)


if __name__ == "__main__":
    main()
