"""Postroad: email with no mail server. The node, and the doors that mail programs use."""

__version__ = "0.1.0"
