"""Settling what a killed process left open in the audit trail."""
