"""Launcher of the Cloud Storage emulator (``gcp-storage-emulator``), which stays as it is published.

It writes its index, and each object, over what is there: killed in the middle of that, it leaves a file that it cannot
read any more, and does not start again. Here every file is written beside its place and put there at once. Web pages
are refused (:mod:`emulators.access`).
"""
