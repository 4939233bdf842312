"""An S3 server of one bucket for a test: moto on a port that the system chooses. Commands come by line, answers go by line.

    s3_server.py BUCKET

says `http://127.0.0.1:PORT` once it listens. Commands:

    fetch PREFIX FOLDER   copy what is below PREFIX into a folder: `N files`
    names PREFIX          the names below PREFIX, one line, with spaces between
    slow                  answer every second write with 503 SlowDown: `slow`
    well                  answer as it should: `well`

It ends with its standard input.
"""
import pathlib
import sys
import threading

import boto3
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server


class Throttled:
    """Every second write is refused while `is_slow`."""

    def __init__(self, app):
        self.app, self.is_slow, self.writes, self.lock = app, False, 0, threading.Lock()

    def __call__(self, environ, start_response):
        if self.is_slow and environ["REQUEST_METHOD"] in ("PUT", "POST"):
            with self.lock:
                self.writes += 1
                refuse = self.writes % 2 == 1
            if refuse:
                environ["wsgi.input"].read()
                body = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
                start_response("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
                return [body]
        return self.app(environ, start_response)


def main(bucket):
    app = Throttled(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    s3 = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    s3.create_bucket(Bucket=bucket)

    def keys(prefix):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return [entry["Key"] for page in pages for entry in page.get("Contents", [])]

    print(url, flush=True)
    for line in sys.stdin:
        command, *words = line.split()
        if command == "fetch":
            prefix, folder = words
            found = keys(prefix)
            for key in found:
                path = pathlib.Path(folder) / key[len(prefix):].lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                s3.download_file(bucket, key, str(path))
            print(f"{len(found)} files", flush=True)
        elif command == "names":
            print(" ".join(keys(words[0])), flush=True)
        else:
            app.is_slow = command == "slow"
            print(command, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
