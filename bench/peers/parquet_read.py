"""DuckDB with one thread reads two sets of Parquet files in turns: `parquet_read.py ROUNDS OURS THEIRS QUERY…`.

OURS and THEIRS are globs, a QUERY has `{files}` where the files belong. Prints one JSON object: the version, and per query what it
answered and how long each turn took. Two answers that differ are an error. The first round warms up and is not in the times.
"""
import json
import sys
import time

import duckdb

connection = duckdb.connect(config={"threads": 1})
# What a progress bar prints is not ours to parse.
connection.execute("SET enable_progress_bar = false")
rounds, sets, queries = int(sys.argv[1]), sys.argv[2:4], sys.argv[4:]


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def turn(query, files):
    wall, cpu = time.perf_counter(), time.process_time()
    answer = connection.execute(query.replace("{files}", f"read_parquet({quoted(files)})")).fetchall()
    return answer, time.perf_counter() - wall, time.process_time() - cpu


results = []
for query in queries:
    result = {"wall_s": [[], []], "cpu_s": [[], []]}
    for round in range(rounds + 1):
        answers = [None, None]
        for who in ((0, 1), (1, 0))[round % 2]:
            answers[who], wall, cpu = turn(query, sets[who])
            if round > 0:
                result["wall_s"][who].append(wall)
                result["cpu_s"][who].append(cpu)
        if sorted(map(repr, answers[0])) != sorted(map(repr, answers[1])):
            sys.exit(f"{query}: {sets[0]} and {sets[1]} give different answers: {answers[0][:3]} and {answers[1][:3]}")
        result["answer_rows"] = len(answers[0])
        result["first"] = [float(value) if value is not None and not isinstance(value, str) else None for value in answers[0][0]]
    results.append(result)
print(json.dumps({"version": duckdb.__version__, "results": results}))
