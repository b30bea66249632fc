"""Remembers. The only room that speaks SQL."""
