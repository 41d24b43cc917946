"""Tests: a package, because one that is installed beside Airflow has this name too."""
