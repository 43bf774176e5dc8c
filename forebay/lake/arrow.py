"""A result's Parquet file as an Arrow IPC file, compressed, one row group after another: what pandas, Polars and R open as it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

_NARROWER = {
    "TINYINT": pa.int8(), "SMALLINT": pa.int16(), "UTINYINT": pa.uint8(), "USMALLINT": pa.uint16(), "UINTEGER": pa.uint32(),
    "UBIGINT": pa.uint64(), "TIMESTAMP_S": pa.timestamp("s"), "TIMESTAMP_MS": pa.timestamp("ms"),
}  # fmt: skip
"""The types in SQL that Arrow has and results are not stored as."""


def write(parquet: Path, types: Mapping[str, str], target: Path) -> None:
    """Write `target` from `parquet`, whose columns have these types in SQL."""
    with pq.ParquetFile(parquet) as file:
        schema = pa.schema([field.with_type(_NARROWER.get(types[field.name], field.type)) for field in file.schema_arrow])
        with pa.ipc.new_file(target, schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            for number in range(file.num_row_groups):
                writer.write_table(file.read_row_group(number).cast(schema))
