"""The declaration's JSON schema, for editors that complete and check a `defs.yaml`: `python -m kedge.spec.schema`."""

import json
import sys

from kedge.spec.declaration import Declaration

if __name__ == "__main__":
    sys.stdout.write(json.dumps(Declaration.model_json_schema(), indent=1, ensure_ascii=False) + "\n")
