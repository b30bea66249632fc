"""Reads the configuration, builds the node, starts and stops it; the command line."""
