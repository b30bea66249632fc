"""Where people and programs come in; no door opens into another."""
