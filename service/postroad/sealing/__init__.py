"""Keys, certificates, seal, open, sign. Touches nothing."""
