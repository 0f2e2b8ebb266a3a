"""Rows by table: as the JSON has them, and as an engine wrote them.

The first is counted from the data themselves, so that engines are held to the data and not to one another.
"""

from pathlib import Path

import orjson
import pyarrow.parquet as parquet

TABLES = [
    "orders",
    "orders__items",
    "orders__items__discounts",
    "orders__tags",
    "orders__refunds",
    "orders__refunds__lines",
]


def in_json(path: Path) -> dict[str, int]:
    """The rows that the orders in this file come to."""
    rows = dict.fromkeys(TABLES, 0)
    with path.open("rb") as lines:
        for line in lines:
            order = orjson.loads(line)
            items = order.get("items") or []
            refunds = order.get("refunds") or []
            rows["orders"] += 1
            rows["orders__items"] += len(items)
            rows["orders__items__discounts"] += sum(len(item.get("discounts") or []) for item in items)
            rows["orders__tags"] += len(order.get("tags") or [])
            rows["orders__refunds"] += len(refunds)
            rows["orders__refunds__lines"] += sum(len(refund.get("lines") or []) for refund in refunds)
    return rows


def in_parquet(output: Path) -> dict[str, int]:
    """The rows that the footers below this folder tell of: a table is `TABLE.parquet`, or the files in `TABLE/`."""
    rows = {}
    for table in TABLES:
        files = [file for pattern in (f"{table}.parquet", f"{table}/*.parquet") for file in output.rglob(pattern)]
        rows[table] = sum(parquet.read_metadata(file).num_rows for file in files)
    return rows
