"""The measuring harness: starts contenders, loads them in turn, reads what they cost, writes the table."""
