"""What the peers compute."""
