"""Labels: outcomes that arrive later than the rows they belong to, judged like a delivery and joined with their night.

`kedge.labels.rules` is light (no polars), so that a code location can name the checks; `kedge.labels.label.label`
takes a day's file in, judges it and joins it. Everything stays in the restricted zone.
"""
