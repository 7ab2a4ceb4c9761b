"""The command line: one file per command, each thin over `kedge` and the Dagster definitions."""
