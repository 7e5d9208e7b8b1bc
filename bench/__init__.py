"""What exports and loaders cost, beside the floor and other packages.

``tox -e bench`` prints two tables and writes ``bench.json``.
"""
