"""What to change of a platform before it runs out, and what it could give back: one file for each kind of advice."""
