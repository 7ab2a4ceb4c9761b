"""Everything stored of a pipeline, looked at as an auditor would: is it what was written, and what the trail says?"""

from kedge.verification.finding import Finding, Findings
from kedge.verification.verify import verify

__all__ = ["Finding", "Findings", "verify"]
