"""Checkpoints kept in an S3 bucket, or in anything that speaks its interface with conditional writes.

Region, endpoint and credentials come from the usual AWS variables. `If-None-Match: *` makes S3 refuse a second object
of one name (Amazon S3, conditional writes, 2024); with Object Lock in compliance mode nobody can delete the first.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from kedge.audit.anchor import another, body, folder_of, place
from kedge.errors import KedgeError, Terminal, Transient

T = TypeVar("T")
CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5, 10, 3
READERS, PAGE = 8, 1_000
_THERE, _RACE = {"PreconditionFailed", "412"}, {"ConditionalRequestConflict", "409"}
_REFUSED = {
    "AccessDenied", "403", "401", "NoSuchBucket", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken",
    "InvalidBucketName", "PermanentRedirect", "NotImplemented", "InvalidArgument",
}  # fmt: skip
_UNCONFIGURED = {"NoCredentialsError", "PartialCredentialsError", "NoRegionError", "ProfileNotFound"}


class S3Anchor:
    """Objects `<prefix>/<lake id>/<pipeline>/<size:012d>` of a bucket.

    Args:
        bucket: its name.
        prefix: without a slash at either end; may be empty.
        origin: the log whose checkpoints `all` lists; all logs without one.
    """

    def __init__(self, bucket: str, prefix: str = "", origin: str | None = None) -> None:
        self.bucket, self.prefix = bucket, f"{prefix}/" if prefix else ""
        self._below = self.prefix + (f"{folder_of(origin)}/" if origin else "")
        self._client = self._call(_client)

    def put(self, text: str) -> None:
        key = self.prefix + place(text)
        if self._call(lambda: self._create(key, text.encode())):
            return
        if body(self._read(key)) != body(text):
            raise another(f"s3://{self.bucket}/{key}")

    def all(self) -> list[str]:
        keys = self._call(lambda: self._keys(self._below))
        with ThreadPoolExecutor(READERS) as readers:
            return list(readers.map(self._read, keys))

    def newest(self, origin: str) -> str | None:
        keys = self._call(lambda: self._keys(f"{self.prefix}{folder_of(origin)}/"))
        return self._read(keys[-1]) if keys else None

    def _create(self, key: str, data: bytes) -> bool:
        """Whether the object was made; False if there is one of that name."""
        from botocore.exceptions import ClientError

        for _ in range(ATTEMPTS):
            try:
                self._client.put_object(Bucket=self.bucket, Key=key, Body=data, IfNoneMatch="*")
            except ClientError as error:
                if _code(error) in _THERE:
                    return False
                if _code(error) not in _RACE:
                    raise
            else:
                return True
        raise self._silent("another writer of this object, again and again")

    def _keys(self, below: str) -> list[str]:
        listing = self._client.get_paginator("list_objects_v2")
        pages = listing.paginate(Bucket=self.bucket, Prefix=below, PaginationConfig={"PageSize": PAGE})
        return sorted(found["Key"] for page in pages for found in page.get("Contents", ()))

    def _read(self, key: str) -> str:
        data: bytes = self._call(lambda: self._client.get_object(Bucket=self.bucket, Key=key)["Body"].read())
        return data.decode("utf-8", errors="replace")

    def _call(self, ask: Callable[[], T]) -> T:
        """What S3 answers.

        Raises:
            Transient: nothing, or that it is busy.
            Terminal: that it may not, or does not know the bucket.
        """
        try:
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError:
            need, remedy = "boto3, for an anchor in S3", "Install it: pip install 'kedge[aws]'."
            raise Terminal("audit.anchor", need=need, got="none", remedy=remedy) from None
        try:
            return ask()
        except ClientError as error:  # its text may quote the request
            code = _code(error)
            raise self._refused(code) if code in _REFUSED else self._silent(code) from None
        except BotoCoreError as error:
            name = type(error).__name__
            raise self._refused(name) if name in _UNCONFIGURED else self._silent(name) from None

    def _refused(self, code: str) -> KedgeError:
        remedy = "Allow s3:PutObject, s3:GetObject and s3:ListBucket there, and look at the AWS variables."
        return Terminal(f"s3://{self.bucket}", need="a bucket that takes checkpoints", got=code, remedy=remedy)

    def _silent(self, got: str) -> KedgeError:
        remedy = "Look at the network and the service; the next checkpoint is anchored again."
        return Transient(f"s3://{self.bucket}", need="an answer of S3", got=got, remedy=remedy)


def _client() -> Any:
    import boto3
    from botocore.config import Config

    bounded = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
    )
    return boto3.session.Session().client("s3", config=bounded)


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))
