"""dlt: the six tables of orders, made by its own normalizer, as Parquet files in a folder.

    python dlt_orders.py INPUT OUTPUT THREADS

dlt finds the shape by itself and gives every row an id, a parent and a position in its list. As an
expert would have it: records decoded with orjson in pages, files between the steps not compressed and
small enough that every worker has some.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

os.environ |= {  # read when the pipeline is made
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "SOURCES__DATA_WRITER__DISABLE_COMPRESSION": "true",
    "SOURCES__DATA_WRITER__FILE_MAX_ITEMS": "5000",
    "NORMALIZE__WORKERS": sys.argv[3],
    "NORMALIZE__DATA_WRITER__COMPRESSION": "zstd",
    "LOAD__WORKERS": sys.argv[3],
}

import dlt  # noqa: E402
import orjson  # noqa: E402

RECORDS_OF_A_PAGE = 1000


def pages(source: Path) -> Iterator[list[dict]]:
    """The records of the file, a thousand at a time: dlt spends much on each item that it is given."""
    with source.open("rb") as lines:
        page = []
        for line in lines:
            page.append(orjson.loads(line))
            if len(page) == RECORDS_OF_A_PAGE:
                yield page
                page = []
        if page:
            yield page


def main(source: Path, output: Path) -> None:
    start = time.perf_counter()
    pipeline = dlt.pipeline(
        pipeline_name="comparison",
        pipelines_dir=str(output / "_pipelines"),
        destination=dlt.destinations.filesystem(bucket_url=output.absolute().as_uri()),
        dataset_name="tables",
    )
    pipeline.run(dlt.resource(pages(source), name="orders"), loader_file_format="parquet")
    print(json.dumps({"work_seconds": time.perf_counter() - start}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
