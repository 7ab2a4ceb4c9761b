"""The audit trail: who did what to which version, in a log that cannot be edited unseen."""
