"""Adapters between kedge and Dagster: settings become kedge objects, kedge errors and outcomes become Dagster's."""
