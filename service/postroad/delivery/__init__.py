"""Moves letters: accepts, seals and sends, collects and files."""
