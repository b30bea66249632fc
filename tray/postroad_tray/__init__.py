"""The tray applet's room. It may know `postroad.contract` and `postroad.phrases` of the service."""
