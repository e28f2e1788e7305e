"""Tests of the scripts that package and publish: `python3 -m unittest discover -s scripts/tests -t .`.

The tests of packages need GRISTMILL_BINARY: a binary of this version, built in any way.
"""
