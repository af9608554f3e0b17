"""Ask: webhooks and metrics servers, whose answers are facts of the next decision."""
