"""Gates that are no webhooks: from a moment of a rollout to what is run or looked at, and from there to an answer."""
