"""What each conversation means: bytes in, meaning out. Touches nothing."""
