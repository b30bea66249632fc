"""Knows letters: addresses, headers, MIME structure, bounces. Touches nothing."""
