"""What goes over the wire, and who listens there."""
