"""A KMS for tests: moto's server, and what AWS documents that moto leaves out. `kms_server.py PORT`.

moto 5.2.5 goes on using keys that are disabled or pending deletion; AWS refuses them:
https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html. `slow` and `throttled` answer so before any
request is looked at: `GET /tests/<mode>`, and `GET /tests/well` ends it.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.kms.models import KmsBackend
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

REFUSED = {"Disabled": "DisabledException", "PendingDeletion": "KMSInvalidStateException"}
AS_JSON = {
    "AccessDenied": "AccessDeniedException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "InvalidClientTokenId": "UnrecognizedClientException",
}
"""moto refuses callers of every service in the XML of some; KMS itself answers in JSON by these names."""
_CODE = re.compile(rb"<Code>(\w+)</Code>")
Answer = Callable[[str, list[tuple[str, str]]], Any]


def refuse_unusable(backend: KmsBackend, key_id: str) -> None:
    state = backend.keys[backend.any_id_to_key_id(key_id)].key_state
    if state in REFUSED:
        raise JsonRESTError(REFUSED[state], f"key is {state}")


def keep_states() -> None:
    """`encrypt` and `decrypt` look at the key's state; `re_encrypt` calls both."""
    encrypt, decrypt = KmsBackend.encrypt, KmsBackend.decrypt

    def encrypt_if_enabled(self: KmsBackend, key_id: str, *args: Any, **kwargs: Any) -> Any:
        refuse_unusable(self, key_id)
        return encrypt(self, key_id, *args, **kwargs)

    def decrypt_if_enabled(self: KmsBackend, *args: Any, **kwargs: Any) -> Any:
        plaintext, arn = decrypt(self, *args, **kwargs)
        refuse_unusable(self, arn)
        return plaintext, arn

    KmsBackend.encrypt, KmsBackend.decrypt = encrypt_if_enabled, decrypt_if_enabled


class Moody:
    """The application, slow or throttled while a test wants it."""

    def __init__(self, app: Any) -> None:
        self.app, self.mode, self.asked = app, "well", 0

    def __call__(self, environ: dict[str, Any], start: Answer) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/tests/"):
            asked, self.asked, self.mode = self.asked, 0, path.rpartition("/")[2]
            start("200 OK", [("Content-Type", "text/plain")])
            return [str(asked).encode()]
        self.asked += 1
        if self.mode == "slow":
            time.sleep(5)
        if self.mode == "throttled":
            start("400 Bad Request", [("Content-Type", "application/x-amz-json-1.1")])
            return [b'{"__type": "ThrottlingException", "message": "Rate exceeded"}']
        answered: list[Any] = []
        body = b"".join(self.app(environ, lambda *how: answered.append(how)))
        (status, headers, *_), code = answered[0], _CODE.search(body)
        if status.startswith("403") and code and environ.get("HTTP_X_AMZ_TARGET"):
            body = json.dumps({"__type": AS_JSON[code[1].decode()], "message": "refused"}).encode()
            status, headers = "400 Bad Request", [("Content-Type", "application/x-amz-json-1.1")]
        start(status, headers)
        return [body]


if __name__ == "__main__":
    keep_states()
    app = Moody(DomainDispatcherApplication(create_backend_app))
    run_simple("127.0.0.1", int(sys.argv[1]), app, threaded=True)
