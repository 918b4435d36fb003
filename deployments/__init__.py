"""Where Watchkeeper runs, what it looks after, and the `watchkeeper` command."""
