"""Composition: declared pipelines, and the definitions that Dagster loads."""
