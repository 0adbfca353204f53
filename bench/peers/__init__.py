"""What Winback is measured beside. Each peer is a program of its own: see bench/peers/announce.py."""
