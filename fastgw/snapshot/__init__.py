"""From configuration to snapshot: immutable segments of bytes that the workers map.

    layout.py    writes records as layout.def lays them out
    routes.py    the routing trie of one listener
    compile.py   a whole configuration
    explain.py   which route a request takes, and why no other
"""
