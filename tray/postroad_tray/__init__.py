"""The tray applet's room. Of the service it may know `postroad.contract`,
`postroad.phrases` and `postroad.timeouts`."""
