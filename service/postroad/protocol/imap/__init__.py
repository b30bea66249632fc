"""IMAP4rev2 and rev1 without I/O: lexer, commands, session, responses."""
