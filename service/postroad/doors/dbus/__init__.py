"""The door for programs of the owner's desktop: D-Bus on the session bus (docs/dbus.md)."""
