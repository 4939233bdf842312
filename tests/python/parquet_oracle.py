"""Random events and schemas, and what docs/parquet.md says that their Parquet files hold.

An implementation of the rules there that knows nothing of ours.

    parquet_oracle.py make FOLDER SEED CASES     writes FOLDER/0, FOLDER/1 … each with config.toml and events.ndjson
    parquet_oracle.py check FOLDER               reads what was made of them in each FOLDER/N/lake, and the dead letters

`check` reads with pyarrow, value by value, and has DuckDB and polars count what they read. Exits with 0 if all is as expected,
with 1 and a line per difference if not.
"""
import base64
import datetime
import decimal
import glob
import json
import os
import random
import re
import sys
import tomllib

EPOCHS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
SINGLE = ["bool", "int32", "int64", "uint64", "float32", "float64", "string", "binary", "date"]
SINGLE += ["timestamp_" + unit for unit in EPOCHS]
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
TIME = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d):(\d\d):(\d\d)(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.A)


class Number(str):
    """A number as it is written."""

    def is_whole(self):
        return not set(self) & set(".eE")


def parse(text):
    return json.loads(text, parse_int=Number, parse_float=Number)


def write(value):
    """JSON without white space, numbers as they are written."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(json.dumps(name) + ":" + write(member) for name, member in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(write, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


# What fits a column, and as what: instants are whole numbers of what the file counts in, days are days since 1970.


class Misfit(Exception):
    pass


def need(condition):
    if not condition:
        raise Misfit


def scaled(number, places):
    """A number times a power of ten, if that is whole."""
    with decimal.localcontext(decimal.Context(prec=400, Emin=-999999, Emax=999999)):
        moved = decimal.Decimal(number).scaleb(places)
        need(moved == moved.to_integral_value())
        return int(moved)


def days(text):
    need(re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.A))
    try:
        return (datetime.date.fromisoformat(text) - datetime.date(1970, 1, 1)).days
    except ValueError:
        raise Misfit


def nanoseconds(text):
    match = TIME.fullmatch(text)
    need(match)
    date, hour, minute, second, fraction, offset = match.groups()
    need(int(hour) < 24 and int(minute) < 60 and int(second) < 60)
    seconds = days(date) * 86400 + int(hour) * 3600 + int(minute) * 60 + int(second)
    if offset not in "Zz":
        hours, minutes = int(offset[1:3]), int(offset[4:])
        need(hours < 24 and minutes < 60)
        seconds -= (hours * 3600 + minutes * 60) * (-1 if offset[0] == "-" else 1)
    return seconds * 10**9 + scaled(Number("0" + (fraction or ".0")), 9)


def instant(number, unit):
    need(-(2**63) <= number < 2**63)
    need(-62167219200 <= number / 10 ** EPOCHS[unit] < 253402300800)
    # Parquet knows no seconds.
    return number * 1000 if unit == "s" else number


def fit(column, kind, value):
    is_number, is_text = isinstance(value, Number), isinstance(value, str) and not isinstance(value, Number)
    if kind.startswith("list<"):
        need(isinstance(value, list))
        return [None if item is None else fit(column, kind[5:-1], item) for item in value]
    if kind == "json":
        need(value is not None)
        return write(value)
    if kind == "bool":
        need(isinstance(value, bool))
        return value
    if kind in ("int32", "int64", "uint64"):
        need(is_number and value.is_whole())
        low, high = {"int32": (-(2**31), 2**31), "int64": (-(2**63), 2**63), "uint64": (0, 2**64)}[kind]
        need(low <= int(value) < high)
        return int(value)
    if kind in ("float32", "float64"):
        need(is_number)
        need(not value.is_whole() or abs(int(value)) <= (2**24 if kind == "float32" else 2**53))
        need(kind == "float64" or abs(float(value)) < 3.4028235e38)
        return float(value)
    if kind.startswith("decimal"):
        need(is_number or is_text and NUMBER.fullmatch(value))
        precision, scale = map(int, kind[8:-1].split(","))
        units = scaled(Number(value), scale)
        need(abs(units) < 10**precision)
        with decimal.localcontext(decimal.Context(prec=50)):
            return decimal.Decimal(units).scaleb(-scale)
    if kind.startswith("timestamp"):
        unit = kind[10:]
        if is_number and not column.get("plain"):
            return instant(scaled(value, EPOCHS[unit] - EPOCHS[column.get("epoch", unit)]), unit)
        need(is_text)
        need(not column.get("plain") or plain_unit(value) == unit)
        whole, more = divmod(nanoseconds(value), 10 ** (9 - EPOCHS[unit]))
        need(more == 0)
        return instant(whole, unit)
    need(is_text)
    if kind == "date":
        return days(value)
    if kind == "binary":
        try:
            return base64.b64decode(value, validate=True)
        except ValueError:
            raise Misfit
    return value


def fit_attribute(column, text):
    kind = column["type"]
    if kind == "binary":
        return text.encode()
    if kind == "bool":
        need(text in ("true", "false"))
        return text == "true"
    if kind not in ("string", "date") and NUMBER.fullmatch(text):
        return fit(column, kind, Number(text))
    return fit(column, kind, text)


def fits(column, value, how=None):
    try:
        (how or fit)(*((column, value) if how else (column, column["type"], value)))
        return True
    except Misfit:
        return False


# What a row holds.


class Row:
    def __init__(self, columns, event, attributes):
        self.columns, self.values, self.rest, self.errors, self.refused = columns, {}, {}, set(), False
        self.places = {}
        for column in columns:
            if "attribute" not in column:
                self.places.setdefault(path_of(column), []).append(column)
        if isinstance(event, dict):
            self.spread(event, "", False)
        for column in columns:
            text = attributes.get(column.get("attribute"))
            if text is not None:
                try:
                    self.values[column["name"]] = fit_attribute(column, text)
                except Misfit:
                    self.misfit(column)
        for column in columns:
            if column["name"] in self.values:
                continue
            if "default" in column:
                self.values[column["name"]] = fit(column, column["type"], parse(json.dumps(column["default"])))
            elif not column.get("nullable", True):
                self.refused = True

    def spread(self, members, above, is_held):
        for name, value in members.items():
            path = above + name
            here = self.places.get(path, [])
            if value is None and here:
                continue
            is_spread = isinstance(value, dict) and value and any(place.startswith(path + ".") for place in self.places)
            taken, misfits = False, []
            for column in here:
                try:
                    self.values[column["name"]] = fit(column, column["type"], value)
                    taken = True
                    break
                except Misfit:
                    misfits.append(column)
            if is_spread:
                self.spread(value, path + ".", is_held or taken)
                continue
            for column in misfits:
                if column.get("nullable", True):
                    self.values[column["name"]] = None
            if taken:
                continue
            for column in misfits:
                if not column.get("learnt"):
                    self.misfit(column)
            if not is_held:
                self.rest[path] = value

    def misfit(self, column):
        self.errors.add(column["name"])
        self.refused |= column.get("on_mismatch") == "dead_letter"
        if column.get("nullable", True):
            self.values[column["name"]] = None


def path_of(column):
    return column.get("path", column["name"])


# What is learnt.


def plain_unit(text):
    match = re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.(\d{3}|\d{6}|\d{9}))?Z", text, re.A)
    if not match:
        return None
    unit = {0: "s", 3: "ms", 6: "us", 9: "ns"}[len(match[2] or "")]
    return unit if fits({"type": "timestamp_" + unit}, text) else None


KINDS = [("bool", ":bool"), ("number", ":number"), ("text", ":string")]


def kind_of(value):
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, Number):
        return "number"
    return "text" if isinstance(value, str) else None


def type_of(kind, values, is_first):
    if kind == "bool":
        return "bool"
    if kind == "text":
        units = {plain_unit(value) for value in values}
        return "timestamp_" + units.pop() if is_first and len(units) == 1 and None not in units else "string"
    # What 64 bits do not hold is no whole number to a reader of JSON.
    if any(not value.is_whole() or not -(2**63) <= int(value) < 2**64 for value in values):
        return "float64"
    if any(int(value) >= 2**63 for value in values) and all(int(value) >= 0 for value in values):
        return "uint64"
    return "int64"


def learn(events, nested):
    columns = []

    def level(objects, path):
        seen = {}
        for members in objects:
            for name, value in members.items():
                if name and "." not in name and (path or not name.startswith("_")):
                    if not isinstance(value, dict) or len(path) + 1 < 8:
                        seen.setdefault(name, []).append(value)
        for name, values in seen.items():
            here, dotted = path + [name], ".".join(path + [name])
            single, lists = {}, {}
            for value in values:
                if isinstance(value, list):
                    kinds = {kind_of(item) for item in value if item is not None}
                    if len(kinds) == 1 and None not in kinds:
                        lists.setdefault(kinds.pop(), []).append([item for item in value if item is not None])
                elif kind_of(value):
                    single.setdefault(kind_of(value), []).append(value)
            found = [(kind, suffix, False, single[kind]) for kind, suffix in KINDS if kind in single]
            found += [(kind, suffix + "s", True, lists[kind]) for kind, suffix in KINDS if kind in lists]
            found.sort(key=lambda wanted: -len(wanted[3]))
            inside = [value for value in values if isinstance(value, dict)]
            is_member = lambda name, value: name and "." not in name and (len(here) + 1 < 8 or not isinstance(value, dict))
            has_members = any(is_member(*item) for value in inside for item in value.items())
            for at, (kind, suffix, is_list, values_of) in enumerate(found):
                flat = [item for value in values_of for item in value] if is_list else values_of
                kind = type_of(kind, flat, at == 0)
                plain_name = at == 0 and not (nested == "struct" and has_members)
                columns.append({
                    "name": dotted if plain_name else dotted + suffix,
                    "path": dotted,
                    "type": f"list<{kind}>" if is_list else kind,
                    "learnt": True,
                    "plain": True,
                })
            level(inside, here)

    level([event for event in events if isinstance(event, dict)], [])
    return columns


# Random cases.


class Case:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.nested = self.random.choice(["flatten", "struct"])
        self.wraps = self.random.random() < 0.5

    def number(self):
        r = self.random
        choices = [
            lambda: str(r.randrange(-200, 200)),
            lambda: str(r.randrange(-(2**63), 2**64)),
            lambda: str(r.randrange(2**53 - 2, 2**53 + 3)),
            lambda: str(r.randrange(2**24 - 2, 2**24 + 3)),
            lambda: str(r.randrange(10**12, 2 * 10**12)),
            lambda: f"{r.randrange(-10**6, 10**6) or 1}.{r.randrange(10**12)}",
            lambda: f"{r.randrange(10)}.{r.randrange(1, 1000)}e{r.randrange(-20, 20)}",
            lambda: str(10 ** r.randrange(18, 30) + r.randrange(1000)),
        ]
        return Number(r.choice(choices)())

    def time(self):
        r = self.random
        stamp = datetime.datetime(1950, 1, 1) + datetime.timedelta(seconds=r.randrange(4 * 10**9))
        fraction = r.choice(["", "", ".5", ".120", ".123456", ".123456789", ".000"])
        return stamp.isoformat() + fraction + r.choice(["Z", "Z", "Z", "+01:00", "-05:30"])

    def text(self):
        r = self.random
        return r.choice([
            lambda: "".join(r.choice('abé"\\/ ') for _ in range(r.randrange(6))),
            lambda: str(self.number()),
            self.time,
            self.time,
            lambda: base64.b64encode(bytes(r.randrange(256) for _ in range(r.randrange(6)))).decode(),
            lambda: self.time()[:10],
            lambda: "2023-02-29",
        ])()

    def scalar(self):
        return self.random.choice([lambda: None, lambda: self.random.random() < 0.5, self.number, self.number, self.text, self.text])()

    def value(self, depth=0):
        chance = self.random.random()
        if depth < 3 and chance < 0.25:
            return self.object(depth + 1)
        if depth < 3 and chance < 0.4:
            make = self.random.choice([self.number, self.text, lambda: self.value(depth + 1)])
            return [self.random.choice([make, make, make, lambda: None])() for _ in range(self.random.randrange(4))]
        return self.scalar()

    def object(self, depth=0):
        return {name: self.value(depth) for name in self.random.sample("abcdef", self.random.randrange(6))}

    def type(self):
        r = self.random
        kind = r.choice(SINGLE + ["decimal", "decimal", "json"])
        if kind == "decimal":
            precision = r.randrange(1, 39)
            kind = f"decimal({precision},{r.randrange(precision + 1)})"
        return f"list<{kind}>" if r.random() < 0.2 else kind

    def columns(self):
        r, columns, taken = self.random, [], set()
        for at in range(r.randrange(1, 9)):
            column = {"name": ".".join(r.choice("abcdef") for _ in range(r.choice([1, 1, 1, 2, 2, 3]))), "type": self.type()}
            if r.random() < 0.2 and not column["type"].startswith("list") and column["type"] != "json":
                column["attribute"], column["name"] = "site", f"site{at}"
            elif r.random() < 0.2:
                column["path"], column["name"] = column["name"], f"named{at}"
            others = {other["name"] for other in columns}
            # In structs no name can be a value and a struct.
            own = column["name"] + "."
            is_good = not any(own.startswith(name + ".") or (name + ".").startswith(own) for name in others)
            if not is_good or "attribute" not in column and path_of(column) in taken:
                continue
            taken.add(path_of(column))
            if "timestamp" in column["type"] and r.random() < 0.5:
                column["epoch"] = r.choice(list(EPOCHS))
            if r.random() < 0.3:
                column["unit"] = r.choice(["°C", "m/s", "%"])
            if r.random() < 0.1:
                column["on_mismatch"] = "dead_letter"
            default = r.choice([r.randrange(100), True, self.time(), "x", 1.5, [], [1, 2]])
            if r.random() < 0.5 and fits(column, parse(json.dumps(default))):
                column["default"] = default
            if r.random() < 0.3 and ("default" in column or "on_mismatch" in column):
                column["nullable"] = False
            columns.append(column)
        return columns

    def write(self, folder):
        os.makedirs(folder)
        lines = ["[endpoints.lake]", 'type = "parquet"', f"dir = {json.dumps(folder + '/lake')}", f'nested = "{self.nested}"']
        lines += [f"dead_letter = {json.dumps(folder + '/dead.ndjson')}"]
        if self.random.random() < 0.7:
            pair = lambda key, value: f"{key} = {json.dumps(value, ensure_ascii=False)}"
            tables = [", ".join(pair(*item) for item in column.items()) for column in self.columns()]
            lines += ["columns = [", *(f"  {{ {table} }}," for table in tables), "]"]
        else:
            lines += [f"learn_events = {self.random.randrange(1, 30)}"]
        lines += ["[[routes]]", 'name = "all"', 'endpoint = "lake"']
        with open(folder + "/config.toml", "w") as file:
            file.write("\n".join(lines) + "\n")
        with open(folder + "/events.ndjson", "w") as file:
            for number in range(60):
                data = write(self.object() if self.random.random() < 0.95 else self.value())
                if self.wraps:
                    site = f',"site":{json.dumps(self.text() or "x")}' if self.random.random() < 0.7 else ""
                    data = f'{{"specversion":"1.0","id":"{number}","source":"/s","type":"t"{site},"data":{data}}}'
                file.write(data + "\n")


# What is in the files.


def expected_type(kind):
    import pyarrow

    if kind.startswith("list<"):
        return pyarrow.list_(expected_type(kind[5:-1]))
    if kind.startswith("decimal"):
        return pyarrow.decimal128(*map(int, kind[8:-1].split(",")))
    if kind.startswith("timestamp"):
        return pyarrow.timestamp("ms" if kind == "timestamp_s" else kind[10:], "UTC")
    names = {"bool": "bool_", "json": "string", "date": "date32"}
    return getattr(pyarrow, names.get(kind, kind))()


def array_of(values, kind):
    import pyarrow

    def raw(kind):
        if kind.startswith("list<"):
            return pyarrow.list_(raw(kind[5:-1]))
        if kind.startswith("timestamp"):
            return pyarrow.int64()
        return {"date": pyarrow.int32(), "float32": pyarrow.float64()}.get(kind, expected_type(kind))

    return pyarrow.array(values, raw(kind)).cast(expected_type(kind))


def parse_texts(value):
    if isinstance(value, list):
        return [parse_texts(item) for item in value]
    return None if value is None else parse(value)


def check_case(folder):
    import duckdb
    import polars
    import pyarrow.compute
    import pyarrow.parquet

    wrong = []
    with open(folder + "/config.toml", "rb") as file:
        lake = tomllib.load(file)["endpoints"]["lake"]
    with open(folder + "/events.ndjson") as file:
        events = [parse(line) for line in file]
    attributes = [{}] * len(events)
    if events and all(isinstance(event, dict) and "specversion" in event for event in events):
        attributes = [{"site": event["site"]} if "site" in event else {} for event in events]
        events = [event["data"] for event in events]
    is_declared = "columns" in lake
    columns = lake["columns"] if is_declared else learn(events[: lake["learn_events"]], lake["nested"])
    made = [(event, Row(columns, event, attribute)) for event, attribute in zip(events, attributes)]
    kept = [(event, row) for event, row in made if not row.refused]
    refused = [event for event, row in made if row.refused]
    letters = []
    if os.path.exists(folder + "/dead.ndjson"):
        with open(folder + "/dead.ndjson") as file:
            letters = [parse(line)["event"].get("data") for line in file]
    if [write(letter) for letter in letters] != [write(event) for event in refused]:
        wrong.append(f"{folder}: {len(letters)} dead letters, not {len(refused)}, or others")
    files = sorted(glob.glob(folder + "/lake/*.parquet"))
    if not kept:
        return wrong if not files else wrong + [f"{folder}: there should be no file"]
    if not files:
        return wrong + [f"{folder}: there is no file"]
    table = pyarrow.parquet.read_table(files[0])
    if table.num_rows != len(kept):
        return wrong + [f"{folder}: {table.num_rows} rows, not {len(kept)}"]
    # The hash makes it read every column.
    query = "SELECT count(*) FILTER (WHERE _rest IS NULL), bit_xor(hash(t)) FROM read_parquet(?) AS t"
    readers = {
        "duckdb": duckdb.connect().execute(query, files).fetchone()[0],
        "polars": polars.read_parquet(files)["_rest"].null_count(),
    }
    for who, nulls in readers.items():
        if nulls != sum(not row.rest for _, row in kept):
            wrong.append(f"{folder}: {who} finds {nulls} rows without a rest")
    names = []
    for column in columns:
        name, first = column["name"], column["name"]
        if lake["nested"] == "struct":
            first, *inner = name.split(".")
            field, values = table.schema.field(first), table[first]
            for part in inner:
                field = field.type.field(part)
                values = pyarrow.compute.struct_field(values, part)
        else:
            field, values = table.schema.field(name), table[name]
        names += [first] if first not in names else []
        if field.type != expected_type(column["type"]):
            wrong.append(f"{folder}: {name} is {field.type}, not {column['type']}")
            continue
        metadata = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        place = {"attribute": column["attribute"]} if "attribute" in column else {"path": path_of(column)}
        for key, value in {**place, "unit": column.get("unit")}.items():
            if metadata.get(key) != value:
                wrong.append(f"{folder}: {name} says {key} = {metadata.get(key)}, not {value}")
        if field.nullable != column.get("nullable", True):
            wrong.append(f"{folder}: {name} is nullable or not, wrongly")
        expected = [row.values.get(name) for _, row in kept]
        found = values.combine_chunks() if hasattr(values, "combine_chunks") else values
        wanted = array_of(expected, column["type"])
        if column["type"].replace("list<", "").startswith("json"):
            # The order and the escapes of JSON are the writer's.
            same = list(map(parse_texts, found.to_pylist())) == list(map(parse_texts, expected))
        else:
            same = found.equals(wanted)
        if not same:
            same = lambda at: found.slice(at, 1).equals(wanted.slice(at, 1))
            at = next((at for at in range(len(kept)) if not same(at)), 0)
            one = found.slice(at, 1).to_string(skip_new_lines=True)
            wrong.append(f"{folder}: {name} ({column['type']}) of {write(kept[at][0])} is {one}, not {expected[at]}")
    names += ["_rest", "_data"] + (["_errors"] if is_declared and columns else [])
    if table.schema.names != names:
        wrong.append(f"{folder}: the columns are {table.schema.names}, not {names}")
        return wrong
    text = lambda name: table[name].to_pylist() if name in names else [None] * len(kept)
    for (event, row), rest, data, errors in zip(kept, text("_rest"), text("_data"), text("_errors")):
        if (parse(rest) if rest else {}) != row.rest:
            wrong.append(f"{folder}: the rest of {write(event)} is {rest}, not {write(row.rest)}")
        if set(parse(errors) if errors else {}) != row.errors:
            wrong.append(f"{folder}: the errors of {write(event)} are {errors}, not {row.errors}")
        if (data is None) != isinstance(event, dict) or data is not None and parse(data) != event:
            wrong.append(f"{folder}: the data of {write(event)} is {data}")
    return wrong


if __name__ == "__main__":
    if sys.argv[1] == "make":
        for case in range(int(sys.argv[4])):
            Case(f"{sys.argv[3]} {case}").write(f"{sys.argv[2]}/{case}")
    else:
        folders = sorted(glob.glob(sys.argv[2] + "/*/"))
        problems = [problem for folder in folders for problem in check_case(folder.rstrip("/"))]
        print("\n".join(problems[:40]) or f"{sys.argv[2]}: as the documentation says")
        sys.exit(1 if problems else 0)
