"""Looks into an Azure Blob server for a test. Commands come by line, answers go by line.

    azure_blobs.py ACCOUNT_URL KEY CONTAINER

makes the container and says its name. Commands:

    fetch PREFIX FOLDER   copy what is below PREFIX into a folder: `N files`
    names PREFIX          the names below PREFIX, one line, with spaces between

It ends with its standard input.
"""
import pathlib
import sys

from azure.storage.blob import ContainerClient

# One that the server of the test knows, whatever the newest is.
API_VERSION = "2025-11-05"


def main(url, key, container):
    credential = {"account_name": url.rsplit("/", 1)[1], "account_key": key}
    client = ContainerClient(url, container, credential=credential, api_version=API_VERSION)
    client.create_container()
    print(container, flush=True)
    for line in sys.stdin:
        command, *words = line.split()
        names = [blob.name for blob in client.list_blobs(name_starts_with=words[0])]
        if command == "fetch":
            for name in names:
                path = pathlib.Path(words[1]) / name[len(words[0]):].lstrip("/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(client.download_blob(name).readall())
            print(f"{len(names)} files", flush=True)
        else:
            print(" ".join(names), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
