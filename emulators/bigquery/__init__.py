"""Launcher of the BigQuery emulator (``local-bigquery``), which stays as it is published.

The emulator asks for a newer Python than Composer has, and two of its bugs break dbt. Each is a correction of a few
lines, made as the module is imported (:mod:`emulators.bigquery.corrections`).
"""
