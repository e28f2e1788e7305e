"""The bucket of a site with its source and its lake, past the proxy."""

import time

import boto3
from botocore.client import Config

NAME = "gristmill"

SETTINGS = f"""
[source]
url = "s3://{NAME}/in"
poll = "1s"
sweep = "1s"
[source.s3]
endpoint = "{{endpoint}}"
path_style = true
allow_http = true
[lake]
url = "s3://{NAME}/lake"
scratch = "lake"
[lake.s3]
endpoint = "{{endpoint}}"
path_style = true
allow_http = true
"""


class Bucket:
    def __init__(self, endpoint):
        self.s3 = boto3.client("s3", endpoint_url=endpoint, config=Config(s3={"addressing_style": "path"}))
        # When each file was sent last, in seconds.
        self.sent = {}

    def settings(self, endpoint):
        return SETTINGS.format(endpoint=endpoint)

    def submit(self, name, text):
        """Puts a file. Returns its stamp, which is good for a second."""
        while int(time.time()) <= self.sent.get(name, 0):
            time.sleep(0.05)
        self.s3.put_object(Bucket=NAME, Key=f"in/{name}", Body=text.encode())
        modified = self.s3.head_object(Bucket=NAME, Key=f"in/{name}")["LastModified"]
        self.sent[name] = int(modified.timestamp())
        return self.sent[name] * 10**9, None

    def lake_copied(self, folder):
        """Copies the lake into a folder."""
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=NAME, Prefix="lake/"):
            for entry in page.get("Contents", []):
                path = folder / entry["Key"].removeprefix("lake/")
                path.parent.mkdir(parents=True, exist_ok=True)
                self.s3.download_file(NAME, entry["Key"], path)
        return folder

    def unfinished(self):
        """What is wrong: the uploads that were begun, and neither completed nor given up."""
        uploads = self.s3.list_multipart_uploads(Bucket=NAME).get("Uploads", [])
        return [f"an upload of {upload['Key']} is open" for upload in uploads]
