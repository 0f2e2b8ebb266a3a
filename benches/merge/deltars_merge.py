"""delta-rs: an upsert by the Python wheel.

    python deltars_merge.py TABLE STAGING [MERGE-OPTIONS]

MERGE-OPTIONS is a JSON object that is passed on to `DeltaTable.merge`. The files are of its own kind, with snappy;
zstd of level 1, as Solder writes, took delta-rs as long.
"""

import json
import sys
import time

import pyarrow.parquet as parquet
from deltalake import DeltaTable


def main(table: str, staging: str, options: dict[str, object]) -> None:
    source = parquet.read_table(staging)
    target = DeltaTable(table)
    start = time.perf_counter()
    (
        target.merge(source, predicate="t.id = s.id", source_alias="s", target_alias="t", **options)
        .when_matched_update_all()
        .when_not_matched_insert_all()
        .execute()
    )
    print(json.dumps({"work_seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]) if len(sys.argv) > 3 else {})
