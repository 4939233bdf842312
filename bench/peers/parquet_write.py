"""NDJSON to Parquet (snappy) with one thread: `parquet_write.py PEER INPUT OUT`, PEER being duckdb, polars, pyarrow or chdb.

Prints one JSON object. Times are of the conversion alone: the start of Python and the import are not counted, and memory is counted
from what the process had before it began. Each way is the one that the peer's own manual shows for large files.
"""
import json
import os
import sys
import time

# Read when polars and its kin are imported.
for name in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "ARROW_NUM_THREADS"):
    os.environ[name] = "1"


def quoted(text):
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def duckdb(source, target):
    import duckdb

    connection = duckdb.connect(config={"threads": 1})
    # What a progress bar prints is not ours to parse.
    connection.execute("SET enable_progress_bar = false")
    query = f"COPY (SELECT * FROM read_ndjson({quoted(source)})) TO {quoted(target)} (FORMAT parquet, COMPRESSION snappy)"
    return duckdb.__version__, lambda: connection.execute(query)


def polars(source, target):
    import polars

    return polars.__version__, lambda: polars.scan_ndjson(source).sink_parquet(target, compression="snappy")


def pyarrow(source, target):
    import pyarrow
    import pyarrow.json
    import pyarrow.parquet

    pyarrow.set_cpu_count(1)
    pyarrow.set_io_thread_count(1)

    def work():
        table = pyarrow.json.read_json(source, read_options=pyarrow.json.ReadOptions(use_threads=False))
        pyarrow.parquet.write_table(table, target, compression="snappy")

    return pyarrow.__version__, work


def chdb(source, target):
    import chdb

    settings = {
        "max_threads": 1,
        "max_insert_threads": 1,
        "input_format_parallel_parsing": 0,
        "output_format_parallel_formatting": 0,
        "output_format_parquet_parallel_encoding": 0,
        "output_format_parquet_compression_method": "'snappy'",
    }
    query = (
        f"INSERT INTO FUNCTION file({quoted(target)}, 'Parquet') SELECT * FROM file({quoted(source)}, 'JSONEachRow') "
        + "SETTINGS "
        + ", ".join(f"{name} = {value}" for name, value in settings.items())
    )
    return chdb.__version__, lambda: chdb.query(query)


def memory(field):
    """Bytes of resident memory: `VmRSS` now, `VmHWM` the most so far."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith(field + ":"))
    return int(line.split()[1]) * 1024


version, work = {"duckdb": duckdb, "polars": polars, "pyarrow": pyarrow, "chdb": chdb}[sys.argv[1]](*sys.argv[2:4])
before = memory("VmRSS")
wall, cpu = time.perf_counter(), time.process_time()
work()
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps({
    "version": version,
    "wall_s": wall,
    "cpu_s": cpu,
    "memory_bytes": max(memory("VmHWM") - before, 0),
    "memory_before_bytes": before,
}))
