"""DuckDB with one thread: `pipe INPUT FILTER OUT CODEC` copies what matches to a Parquet file, `count FOLDER` counts rows.

Prints one JSON object. Times are of the query alone: the start of Python and the import are not counted.
"""
import json
import sys
import time

import duckdb

connection = duckdb.connect(config={"threads": 1})
# What a progress bar prints is not ours to parse.
connection.execute("SET enable_progress_bar = false")


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


wall, cpu = time.perf_counter(), time.process_time()
if sys.argv[1] == "pipe":
    source, condition, target, codec = sys.argv[2:6]
    select = f"SELECT * FROM read_ndjson({quoted(source)}) WHERE {condition}"
    query = f"COPY ({select}) TO {quoted(target)} (FORMAT parquet, COMPRESSION {codec})"
else:
    query = f"SELECT count(*) FROM read_parquet({quoted(sys.argv[2] + '/**/*.parquet')})"
rows = connection.execute(query).fetchone()[0]
print(json.dumps({"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu, "rows": rows}))
