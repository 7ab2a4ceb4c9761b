"""Requests to AWS KMS: bounded in time and tries, and every refusal turned into an error that says what to do.

Region, credentials and endpoint come by the usual variables of AWS (`AWS_REGION`, `AWS_PROFILE`,
`AWS_ENDPOINT_URL_KMS`, ...). Nothing is cached: a key that was destroyed is gone with the next request.
"""

import logging
import os
from dataclasses import dataclass
from typing import Any

from kedge.errors import Conflict, KedgeError, Terminal, Transient
from kedge.keys.provider import KeyGone
from kedge.keys.seal import WrongKey

_SETTING = "AWS KMS"
_MISSING = "NotFoundException"
_DENIED = frozenset({"AccessDeniedException", "NotAuthorizedException"})
_UNKNOWN_CALLER = frozenset({
    "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch",
    "ExpiredTokenException", "ExpiredToken", "MissingAuthenticationToken", "MissingAuthenticationTokenException",
    "IncompleteSignature", "AuthFailure", "OptInRequired",
})  # fmt: skip
_GONE = {
    _MISSING: "a key that is not there: deleted, or of another account or region",
    "DisabledException": "a key that is disabled",
    "KMSInvalidStateException": "a key that is pending deletion, or in another state that refuses its use",
}
_TAKEN = "AlreadyExistsException"
_WRONG = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
_TRY_LATER = frozenset({
    "ThrottlingException", "Throttling", "ThrottledException", "RequestLimitExceeded", "TooManyRequestsException",
    "KMSInternalException", "DependencyTimeoutException", "KeyUnavailableException", "InternalFailure",
    "ServiceUnavailable", "ServiceUnavailableException", "RequestTimeout", "RequestTimeoutException",
})  # fmt: skip
_FORBIDDEN, _SERVER_FAULT = 403, 500


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a request may take: `attempts` tries with growing pauses between them, each within both limits."""

    connect_seconds: float = 3.0
    answer_seconds: float = 5.0
    attempts: int = 4


class KmsClient:
    """A connection to KMS for each process that uses it: a forked child opens its own."""

    def __init__(self, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._opened: tuple[int, Any] | None = None

    def call(self, operation: str, *, about: str, **params: Any) -> dict[str, Any]:
        """Make the request `operation`, named as in boto3, e.g. `encrypt`.

        Args:
            about: what it is for, in the error.

        Raises:
            KeyGone: the key is not there, disabled or pending deletion.
            WrongKey: the ciphertext does not open under this key and context.
            Conflict: somebody else made it meanwhile.
            Terminal: the request is refused.
            Transient: no answer, or one to try later, after every attempt.
        """
        answer = self.find(operation, about=about, **params)
        if answer is not None:
            return answer
        raise _gone(_MISSING, about)

    def find(self, operation: str, *, about: str, **params: Any) -> dict[str, Any] | None:
        """As `call`; None when there is no such key or alias."""
        client = self._client()
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: dict[str, Any] = getattr(client, operation)(**params)
        except ClientError as refusal:
            code = str(refusal.response.get("Error", {}).get("Code", ""))
            if code == _MISSING:
                return None
            status = int(refusal.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
            error = _refused(code, status, operation, about)
        except BotoCoreError as failure:
            error = _failed(failure)
        else:
            return answer
        raise error  # not chained: the frames of the original hold keys

    def _client(self) -> Any:
        if self._opened is None or self._opened[0] != os.getpid():
            self._opened = os.getpid(), self._connect()
        return self._opened[1]

    def _connect(self) -> Any:
        try:
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError
        except ModuleNotFoundError:
            remedy = "Run `pip install 'kedge[aws]'`, or unset KEDGE_KEYS_PROVIDER."
            raise Terminal("KEDGE_KEYS_PROVIDER", need="boto3 for `aws-kms`", got="no boto3", remedy=remedy) from None
        logger = logging.getLogger("botocore")
        logger.setLevel(max(logger.level, logging.INFO))  # at DEBUG it writes the bodies: data keys in plaintext
        config = Config(
            connect_timeout=self._patience.connect_seconds,
            read_timeout=self._patience.answer_seconds,
            retries={"mode": "standard", "total_max_attempts": self._patience.attempts},
        )
        try:
            return boto3.session.Session().client("kms", config=config)
        except (BotoCoreError, ValueError) as failure:
            error = _failed(failure)
        raise error


def _refused(code: str, status: int, operation: str, about: str) -> KedgeError:
    if code in _TRY_LATER or status >= _SERVER_FAULT:
        need, remedy = "a key service that answers", "Run it again later; what was there before is unharmed."
        return Transient(_SETTING, need=need, got=f"`{code}`, try later, each time it was asked", remedy=remedy)
    if code == _TAKEN:
        return Conflict(about, need="a name that is free", got="one that is taken", remedy="Run it again.")
    if code in _GONE:
        return _gone(code, about)
    if code in _WRONG:
        return WrongKey(
            about,
            need="a key that KMS wrapped for this pipeline, zone and place",
            got="altered bytes, or bytes from another place",
            remedy="Restore the file from a backup.",
            part="key",
        )
    if code in _DENIED or (status == _FORBIDDEN and code not in _UNKNOWN_CALLER):
        action = "kms:" + "".join(word.capitalize() for word in operation.split("_"))
        need, remedy = f"leave for {action}", "Compare the IAM policy with the one in docs/keys.md."
        return Terminal(f"{_SETTING} ({about})", need=need, got=f"`{code}`", remedy=remedy)
    if code in _UNKNOWN_CALLER:
        need, remedy = "credentials that AWS knows", "Renew the credentials of the process (AWS_PROFILE, role)."
        return Terminal(_SETTING, need=need, got=f"`{code}`", remedy=remedy)
    need, remedy = f"an answer to {operation}", "Look the code up in the reference of AWS KMS."
    return Terminal(f"{_SETTING} ({about})", need=need, got=f"`{code}`", remedy=remedy)


def _gone(code: str, about: str) -> KeyGone:
    remedy = "If it was not to be destroyed, cancel its deletion or enable it in KMS."
    return KeyGone(about, need="its key-encryption key in AWS KMS", got=_GONE[code], remedy=remedy)


def _failed(failure: Exception) -> KedgeError:
    from botocore.exceptions import ConnectionError as NoConnection
    from botocore.exceptions import HTTPClientError, SSLError

    got = type(failure).__name__  # its message may quote a request
    if isinstance(failure, HTTPClientError | NoConnection) and not isinstance(failure, SSLError):
        need, remedy = "a key service that answers", "Run it again later; what was there before is unharmed."
        return Transient(_SETTING, need=need, got=f"no answer ({got}), each time it was asked", remedy=remedy)
    remedy = "Set AWS_REGION and the credentials of the process as AWS's documentation tells."
    return Terminal(_SETTING, need="a region, credentials and an endpoint", got=got, remedy=remedy)
