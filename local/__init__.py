"""The whole pipeline on one machine: environments, emulators, Airflow, and the commands of the Makefile.

Runs on the system's Python with the standard library alone, since it makes the environments that hold everything else.
"""
