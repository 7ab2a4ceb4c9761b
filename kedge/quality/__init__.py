"""Quality: the contract of a declaration as named rules, evaluated twice, and rows that fail set aside with reasons.

`kedge.quality.rules` is light (no polars), so that a code location can name the checks; `kedge.quality.validate`
turns the dataset `raw` into `validated` and `quarantine`.
"""
