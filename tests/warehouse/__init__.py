"""Tests of the warehouse: dbt on the emulators."""
