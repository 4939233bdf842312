"""Columns of every type from pyarrow, and what DuckDB, polars and pyarrow read of them once our encoder has written them again.

    parquet_pages.py make FILE           writes the columns, without dictionaries and without a codec
    parquet_pages.py check FILE OURS...  reads FILE and each of OURS with all three readers: the same rows, whole and filtered

Filters ask for single values, so that statistics, page indices and Bloom filters decide what is read. Exits with 0 if nothing differs,
with 1 and one line per difference if something does.
"""
import datetime
import decimal
import random
import sys

import duckdb
import polars
import pyarrow
import pyarrow.parquet

ROWS = 150_000
UTC = "UTC"


def values(kind, shape, dice):
    """One value after the other, before it has the column's type."""
    at = dice.randrange(1 << 40)
    for row in range(ROWS):
        if shape == "sorted":
            at += dice.randrange(50)
            yield at
        elif shape == "few":
            yield dice.randrange(300) * 7_777_777
        elif shape == "late":
            yield dice.randrange(5) if row < 50_000 else dice.randrange(1 << 30)
        else:
            yield dice.randrange(1 << 50)


def typed(kind, value):
    if kind == "bool":
        return value % 3 == 0
    if kind == "int32":
        return (value + (1 << 31)) % (1 << 32) - (1 << 31)
    if kind == "date32":
        return datetime.date(1970, 1, 1) + datetime.timedelta(days=value % 40_000)
    if kind in ("float32", "float64"):
        return [float("inf"), -float("inf"), -0.0, 0.0][value % 4] if value % 50 == 0 else value / 100 - 1e6
    if kind == "string":
        return ["", "é" * 70, "\U0010ffff" * 20][value % 3] if value % 50 == 0 else f"device-{value}"
    if kind == "binary":
        return b"\xff" * (value % 90) if value % 50 == 0 else value.to_bytes(7, "big")
    if kind == "decimal128":
        return decimal.Decimal(value % 10**12).scaleb(-3)
    if kind == "ms":
        return value % (1 << 42)
    if kind == "list":
        return [float(n) for n in range(value % 4)]
    return value


KINDS = {
    "bool": pyarrow.bool_(),
    "int32": pyarrow.int32(),
    "date32": pyarrow.date32(),
    "int64": pyarrow.int64(),
    "uint64": pyarrow.uint64(),
    "ms": pyarrow.timestamp("ms", UTC),
    "us": pyarrow.timestamp("us", UTC),
    "ns": pyarrow.timestamp("ns", UTC),
    "float32": pyarrow.float32(),
    "float64": pyarrow.float64(),
    "string": pyarrow.string(),
    "binary": pyarrow.binary(),
    "decimal128": pyarrow.decimal128(20, 3),
    "list": pyarrow.list_(pyarrow.float64()),
}


def make(file):
    dice = random.Random(8)
    fields, columns = [], []
    for kind, arrow in KINDS.items():
        for shape in ("sorted", "few", "late", "any"):
            is_nullable = shape != "sorted"
            share = {"sorted": 0, "few": 0.02, "late": 0.9, "any": 0.3}[shape]
            column = [
                None if is_nullable and dice.random() < share else typed(kind, value) for value in values(kind, shape, dice)
            ]
            fields.append(pyarrow.field(f"{kind}_{shape}", arrow, is_nullable))
            columns.append(pyarrow.array(column, arrow))
        fields.append(pyarrow.field(f"{kind}_null", arrow))
        columns.append(pyarrow.nulls(ROWS, arrow))
    table = pyarrow.Table.from_arrays(columns, schema=pyarrow.schema(fields))
    pyarrow.parquet.write_table(table, file, compression="none", use_dictionary=False)


def check(source, files):
    wrong = []
    table = pyarrow.parquet.read_table(source)
    frame = polars.read_parquet(source)
    connection = duckdb.connect()
    # Some rows of each column, by values that are there and one that is not.
    dice = random.Random(9)
    asked = []
    for name in table.column_names:
        for row in [dice.randrange(ROWS) for _ in range(3)]:
            scalar = table[name][row]
            if scalar.is_valid and not name.startswith(("list", "bool")):
                # As a text and a type: a literal, for only with that does DuckDB pass over row groups.
                query = f'SELECT "{name}"::VARCHAR, typeof("{name}") FROM read_parquet(?) LIMIT 1 OFFSET {row}'
                text, kind = connection.execute(query, [source]).fetchone()
                asked.append((name, scalar, "'{}'::{}".format(text.replace("'", "''"), kind)))
    for file in files:
        # Of all values and their nulls, bit by bit but for NaN, of which there is none.
        if not pyarrow.parquet.read_table(file).equals(table):
            wrong.append(f"{file}: pyarrow reads other rows")
        if not polars.read_parquet(file).equals(frame, null_equal=True):
            wrong.append(f"{file}: polars reads other rows")
        ours, theirs = (f"(SELECT row_number() OVER () AS row, * FROM read_parquet('{path}'))" for path in (file, source))
        for name in table.column_names:
            query = f'SELECT count(*) FROM {ours} AS o JOIN {theirs} AS t USING (row) WHERE o."{name}" IS DISTINCT FROM t."{name}"'
            differing = connection.execute(query).fetchone()[0]
            if differing:
                wrong.append(f"{file}: DuckDB reads {differing} other values of {name}")
        for name, scalar, literal in asked:
            expected = pyarrow.compute.sum(pyarrow.compute.equal(table[name], scalar)).as_py()
            found = {
                "pyarrow": len(pyarrow.parquet.read_table(file, columns=[name], filters=pyarrow.compute.field(name) == scalar)),
                "polars": polars.scan_parquet(file)
                .filter(polars.col(name) == polars.lit(polars.from_arrow(pyarrow.array([scalar]))))
                .select(polars.len())
                .collect()
                .item(),
                "DuckDB": connection.execute(
                    f'SELECT count(*) FROM read_parquet(?) WHERE "{name}" = {literal}', [file]
                ).fetchone()[0],
            }
            wrong += [
                f"{file}: {reader} finds {count} rows where {name} is {scalar}, not {expected}"
                for reader, count in found.items()
                if count != expected
            ]
        group = pyarrow.parquet.ParquetFile(file).metadata.row_group(0)
        for at in range(group.num_columns):
            chunk = group.column(at)
            if not (chunk.is_stats_set and chunk.has_column_index and chunk.has_offset_index):
                wrong.append(f"{file}: pyarrow sees no statistics of {chunk.path_in_schema}")
    return wrong


if sys.argv[1] == "make":
    make(sys.argv[2])
else:
    differences = check(sys.argv[2], sys.argv[3:])
    print("\n".join(differences) or "all as it should be", flush=True)
    import os

    os._exit(1 if differences else 0)
