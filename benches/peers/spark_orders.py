"""Spark: the six tables of orders, by a query for each, in one local JVM.

    python spark_orders.py INPUT OUTPUT THREADS

The cheapest of the ways that were tried, in CPU seconds: the file is read once, by an explicit schema,
into Spark's cache, with the parallel collector (49). The default collector took 51, reading the file anew
for each table 56, a staging copy in Parquet 61; a job per thread changed nothing.
"""

import json
import sys
import time
from pathlib import Path

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as f

SCHEMA = """
    order_id BIGINT, status STRING, placed_at STRING, updated_at STRING, currency STRING, channel STRING,
    customer STRUCT<
        customer_id: BIGINT, first_name: STRING, last_name: STRING, email: STRING, loyalty_points: BIGINT,
        address: STRUCT<street: STRING, city: STRING, postal_code: STRING, country: STRING>,
        preferences: STRUCT<language: STRING, newsletter: BOOLEAN, contact_by: STRING>>,
    items ARRAY<STRUCT<
        sku: STRING, title: STRING, quantity: BIGINT, unit_price: DOUBLE,
        discounts: ARRAY<STRUCT<code: STRING, percent: BIGINT>>>>,
    tags ARRAY<STRING>,
    note STRING,
    total DOUBLE,
    refunds ARRAY<STRUCT<
        refund_id: STRING, reason: STRING, refunded_at: STRING,
        lines: ARRAY<STRUCT<item_index: BIGINT, amount: DOUBLE>>>>
"""


def flattened(struct: str, *fields: str) -> list[Column]:
    """Fields of a struct as columns, with the name of the struct before theirs."""
    return [f.col(f"{struct}.{field}").alias(f"{struct}.{field}".replace(".", "__")) for field in fields]


def length(array: str, name: str) -> Column:
    """How many elements an array has; null, when it is missing."""
    return f.when(f.col(array).isNotNull(), f.size(array)).alias(name)


def tables(orders: DataFrame) -> dict[str, DataFrame]:
    key = f.col("order_id").alias("_root_order_id")
    items = orders.select(key, f.posexplode("items").alias("_index_1", "item"))
    refunds = orders.select(key, f.posexplode("refunds").alias("_index_1", "refund"))
    discounts = items.select("_root_order_id", "_index_1", f.posexplode("item.discounts").alias("_index_2", "discount"))
    lines = refunds.select("_root_order_id", "_index_1", f.posexplode("refund.lines").alias("_index_2", "line"))
    return {
        "orders": orders.select(
            *("order_id", "status", "placed_at", "updated_at", "currency", "channel"),
            *flattened("customer", "customer_id", "first_name", "last_name", "email", "loyalty_points"),
            *flattened("customer.address", "street", "city", "postal_code", "country"),
            *flattened("customer.preferences", "language", "newsletter", "contact_by"),
            length("items", "items__len"),
            length("tags", "tags__len"),
            *("note", "total"),
            length("refunds", "refunds__len"),
        ),
        "orders__items": items.select(
            *("_root_order_id", "_index_1", "item.sku", "item.title", "item.quantity", "item.unit_price"),
            length("item.discounts", "discounts__len"),
        ),
        "orders__items__discounts": discounts.select("_root_order_id", "_index_1", "_index_2", "discount.*"),
        "orders__tags": orders.select(key, f.posexplode("tags").alias("_index_1", "value")),
        "orders__refunds": refunds.select(
            *("_root_order_id", "_index_1", "refund.refund_id", "refund.reason", "refund.refunded_at"),
            length("refund.lines", "lines__len"),
        ),
        "orders__refunds__lines": lines.select("_root_order_id", "_index_1", "_index_2", "line.*"),
    }


def main(source: str, output: Path, threads: int) -> None:
    spark = (
        SparkSession.builder.master(f"local[{threads}]")
        .config("spark.driver.memory", "8g")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.extraJavaOptions", "-XX:+UseParallelGC")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.parquet.compression.codec", "zstd")
        .config("spark.hadoop.parquet.compression.codec.zstd.level", "1")  # what Solder writes
        .getOrCreate()
    )
    start = time.perf_counter()
    orders = spark.read.schema(SCHEMA).json(source).cache()
    for name, table in tables(orders).items():
        table.write.parquet(str(output.absolute() / name))
    print(json.dumps({"work_seconds": time.perf_counter() - start}))

    # The JVM is waited for, so that its time and memory count for this process.
    gateway = spark.sparkContext._gateway
    spark.stop()
    gateway.shutdown()
    gateway.proc.stdin.close()
    gateway.proc.wait()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
