"""Controls over what people state: judged once all else was."""
