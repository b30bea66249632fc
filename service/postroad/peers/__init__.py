"""Talks to other nodes, over the network seam."""
