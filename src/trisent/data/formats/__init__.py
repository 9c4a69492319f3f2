"""One file a format of the field: each recognises it, reads it, and most write it."""
