"""What happens on the wire, and how it is recorded."""
