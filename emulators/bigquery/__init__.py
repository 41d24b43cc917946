"""Launcher of the BigQuery emulator (``local-bigquery``), which stays as it is published.

The emulator asks for a newer Python than Composer has, two of its bugs break dbt, and it opens any file. Each is a
correction of a few lines, made as the module is imported (:mod:`emulators.bigquery.corrections`).
"""
