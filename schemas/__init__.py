"""What flows: the structs on the wire and at rest. No behaviour, no I/O."""
