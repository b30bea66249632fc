"""The tray applet's room. It may know `postroad.contract` (the D-Bus names) and nothing else."""
