"""Reads a folder of our Parquet files with DuckDB, polars and pyarrow and holds them to each other and to what is expected.

    read_parquet.py FOLDER rows=N [sum:COLUMN=X] [count:COLUMN=N] [type:COLUMN=NAME] [distinct=COLUMN,COLUMN] ...

rows      rows of all files together
sum       sum of a column, null for a column of nulls only
count     rows where a column is not null
type      Arrow type of a column as pyarrow names it, the same in every file
distinct  no two rows have the same values in these columns

Exits with 0 if all of it holds in all three readers, with 1 and one line per difference if not.
"""
import glob
import math
import sys

import duckdb
import polars
import pyarrow.compute
import pyarrow.parquet


class Duckdb:
    def __init__(self, files):
        self.connection = duckdb.connect()
        self.files = files

    def ask(self, what):
        return self.connection.execute(f"SELECT {what} FROM read_parquet(?)", [self.files]).fetchone()[0]

    def rows(self):
        return self.ask("count(*)")

    def sum(self, column):
        return self.ask(f'sum("{column}")')

    def count(self, column):
        return self.ask(f'count("{column}")')

    def distinct(self, columns):
        return self.ask("count(DISTINCT ({}))".format(", ".join(f'"{column}"' for column in columns)))


class Polars:
    def __init__(self, files):
        self.frame = polars.read_parquet(files)

    def rows(self):
        return self.frame.height

    def sum(self, column):
        values = self.frame[column]
        return None if values.null_count() == values.len() else values.sum()

    def count(self, column):
        return self.frame[column].len() - self.frame[column].null_count()

    def distinct(self, columns):
        return self.frame.select(columns).n_unique()


class Pyarrow:
    def __init__(self, files):
        self.table = pyarrow.concat_tables([pyarrow.parquet.read_table(file) for file in files])

    def rows(self):
        return self.table.num_rows

    def sum(self, column):
        return pyarrow.compute.sum(self.table[column]).as_py()

    def count(self, column):
        return len(self.table) - self.table[column].null_count

    def distinct(self, columns):
        return self.table.group_by(columns).aggregate([]).num_rows


def same(found, expected):
    if expected == "null" or found is None:
        return found is None and expected == "null"
    # Readers add doubles in different orders.
    return math.isclose(float(found), float(expected), rel_tol=1e-9, abs_tol=1e-9)


def main(folder, wants):
    files = sorted(glob.glob(folder + "/*.parquet"))
    if not files:
        return [f"{folder} has no Parquet files"]
    wrong = []
    schemas = {file: pyarrow.parquet.read_schema(file) for file in files}
    for file, schema in schemas.items():
        if not schema.equals(schemas[files[0]]):
            wrong.append(f"{file} has other columns than {files[0]}")
    readers = [Duckdb(files), Polars(files), Pyarrow(files)]
    for want in wants:
        name, expected = want.split("=", 1)
        if name.startswith("type:"):
            found = str(schemas[files[0]].field(name[5:]).type)
            if found != expected:
                wrong.append(f"{name} is {found}, not {expected}")
            continue
        for reader in readers:
            who = type(reader).__name__.lower()
            if name == "rows":
                found = reader.rows()
            elif name == "distinct":
                found, expected_rows = reader.distinct(expected.split(",")), reader.rows()
                if found != expected_rows:
                    wrong.append(f"{who}: {expected} has {found} different values in {expected_rows} rows")
                continue
            elif name.startswith("sum:"):
                found = reader.sum(name[4:])
            elif name.startswith("count:"):
                found = reader.count(name[6:])
            else:
                return [f"'{want}' is nothing to ask for"]
            if not same(found, expected):
                wrong.append(f"{who}: {name} is {found}, not {expected}")
    return wrong


if __name__ == "__main__":
    problems = main(sys.argv[1], sys.argv[2:])
    print("\n".join(problems) or f"{sys.argv[1]}: DuckDB, polars and pyarrow agree")
    sys.exit(1 if problems else 0)
