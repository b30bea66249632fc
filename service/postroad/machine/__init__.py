"""The real clock, entropy, disk, network and listeners. Only `app` may come in."""
