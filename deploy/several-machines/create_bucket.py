"""Create a bucket where it is missing, as soon as the S3 server answers.

    python deploy/several-machines/create_bucket.py nucseg

Endpoint and credentials come from the variables that boto3 reads (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID, …).
"""

import argparse
import sys
import time

import boto3
from botocore.exceptions import BotoCoreError, ClientError

SECONDS = 60


def create(name: str) -> str:
    """Return what is left to complain about; nothing where the bucket is there."""
    try:
        boto3.client("s3").create_bucket(Bucket=name)
    except ClientError as error:
        known = error.response["Error"]["Code"] in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")
        return "" if known else str(error)
    except BotoCoreError as error:
        return str(error)
    return ""


def main() -> None:
    """Try for a minute."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bucket")
    name = parser.parse_args().bucket
    end = time.monotonic() + SECONDS
    while problem := create(name):
        if time.monotonic() > end:
            sys.exit(f"bucket {name}: {problem}")
        time.sleep(1)


if __name__ == "__main__":
    main()
