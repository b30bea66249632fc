"""Many nodes in one process, on a network and a clock of our own, replayed from one seed."""
