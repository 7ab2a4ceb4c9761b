"""Everything stored of a pipeline, looked at as an auditor would."""
