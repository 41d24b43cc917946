"""A stand-in for ODRÉ: a real HTTP server that speaks the part of the Explore API v2.1 that the pipeline uses.

It answers the query that it is asked, from generated data or from a folder of files, and sets every trap that the
real source sets. It needs pyarrow and numpy alone, so that tests embed it in their own process
(:func:`emulators.odre.server.serve`).
"""
