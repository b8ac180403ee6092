"""The living demo: two invented businesses with a past, a present and a page to try.

Everything here goes in by the doors and steps that real events take; nothing is written to a table directly
but the account and the two sites.
"""
