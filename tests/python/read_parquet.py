"""Reads a folder of Parquet files with three engines and says what each of them sees.

Usage: read_parquet.py DIR    prints one JSON object per engine: rows, distinct places, sum and count of `n`.
"""

import glob
import json
import sys

files = sorted(glob.glob(sys.argv[1] + "/*.parquet"))


def say(engine, rows, places, total, count, kinds):
    print(json.dumps({"engine": engine, "rows": rows, "places": places, "sum": total, "count": count, "kinds": kinds}))


import duckdb

query = 'SELECT count(*), count(DISTINCT (_partition, _offset)), sum(n), count(n), any_value(typeof("_time")) FROM read_parquet(?)'
rows, places, total, count, kind = duckdb.execute(query, [files]).fetchone()
say("duckdb", rows, places, int(total), count, kind)

import polars

frame = polars.read_parquet(files)
places = frame.select(polars.struct("_partition", "_offset").n_unique()).item()
say("polars", frame.height, places, frame["n"].sum(), frame["n"].count(), str(frame["_time"].dtype))

import pyarrow.compute
import pyarrow.parquet

table = pyarrow.parquet.ParquetDataset(files).read()
places = len(set(zip(table["_partition"].to_pylist(), table["_offset"].to_pylist())))
total = pyarrow.compute.sum(table["n"]).as_py()
count = pyarrow.compute.count(table["n"]).as_py()
say("pyarrow", table.num_rows, places, total, count, str(table["_time"].type))
