"""What access and login logs tell of attacks: pure, one line at a time, in flat memory."""
